"""While a schedule is served: looks every minute for killed runs and for silence."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from varjepa.background import End, accompanied_by
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
    with accompanied_by(partial(_look, config, seconds), name="lookout", last_seconds=LAST_LOOK):
        yield


def _look(config: RetrainConfig, seconds: float, end: End) -> None:
    while not end.wait(seconds):
        tell_killed(config)
        tell_silence(config)
