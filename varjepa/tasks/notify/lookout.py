"""While a schedule is served: looks every minute for killed runs and for silence."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from varjepa.config import RetrainConfig
from varjepa.tasks.notify.killed import tell_killed
from varjepa.tasks.notify.silence import tell_silence

SECONDS = 60.0
"""Time between two looks."""

LAST_LOOK = 5.0
"""Seconds that the end of the block waits for a look in progress, which may be in the middle of a message."""


@contextmanager
def lookout(config: RetrainConfig, seconds: float = SECONDS) -> Iterator[None]:
    """Tells people of killed runs and of silence for as long as the block lasts.

    The runs of a schedule are processes of their own, so the command that serves it outlives them.

    Args:
        config: of the job.
        seconds: between two looks.
    """
    if not config.notify:
        yield
        return
    ended = Event()
    thread = Thread(target=_look, args=(config, seconds, ended), name="lookout", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(LAST_LOOK)


def _look(config: RetrainConfig, seconds: float, ended: Event) -> None:
    while not ended.wait(seconds):
        tell_killed(config)
        tell_silence(config)
