"""Whose turn it is: runs for one registered model work one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from tasks.locks import host_lock
from tasks.steps import log
from tasks.uris import tracking_uri
from varjepa.config import RetrainConfig


@contextmanager
def turn(config: RetrainConfig, *, wait: bool = True) -> Iterator[bool]:
    """Lets one run per registered model and machine work at a time.

    Args:
        config: of the job.
        wait: for the other run to end; otherwise the block learns that it is not its turn.

    Yields:
        Whether it is this run's turn.
    """
    lock = host_lock(tracking_uri(config.tracking), f"model {config.registry.name}")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if not wait:
            yield False
            return
        log.info("another run for the model %s is at work, this one waits", config.registry.name)
        lock.acquire()
    try:
        yield True
    finally:
        lock.release()
