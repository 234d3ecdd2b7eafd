"""Locks among processes. Nobody waits for one without a word."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from varjepa.tasks.steps.log import log

FIRST_WORD, NEXT_WORD = 5.0, 60.0
"""Seconds of waiting before the first word where locks are held for moments only, and between further words."""


@contextmanager
def in_turn(lock: FileLock, who: str) -> Iterator[None]:
    """Holds a lock file during the block; see `acquire`."""
    acquire(lock, who)
    try:
        yield
    finally:
        lock.release()


def acquire(lock: FileLock, who: str, *, soon: bool = False, patience: float | None = None) -> None:
    """Takes a lock file; says whom it waits for.

    Args:
        lock: of whatever is worked on.
        who: the process that holds it, and its work, as in "another process makes the same index".
        soon: the lock is held for moments only, so the first seconds of waiting are not worth a word.
        patience: seconds after which it gives up; None waits without an end.

    Raises:
        Timeout: it has given up.
    """

    def taken(seconds: float) -> bool:
        try:
            lock.acquire(timeout=seconds)
        except Timeout:
            return False
        return True

    if not wait_for(taken, who, soon=soon, patience=patience):
        raise Timeout(lock.lock_file)


def wait_for(taken: Callable[[float], bool], who: str, *, soon: bool = False, patience: float | None = None) -> bool:
    """Waits for a lock of any kind; says whom it waits for.

    Args:
        taken: tries for some seconds, at least once; whether it has the lock now.
        who: see `acquire`.
        soon: see `acquire`.
        patience: see `acquire`.

    Returns:
        Whether it has the lock.
    """
    began, quiet = time.monotonic(), FIRST_WORD if soon else 0.0
    while not taken(quiet if patience is None else min(quiet, patience)):
        waited = time.monotonic() - began
        if patience is not None and waited >= patience:
            return False
        so_far = f", for {waited:.0f} s so far" if waited >= NEXT_WORD else ""
        log.info("%s; waiting for it%s", who, so_far)
        quiet = NEXT_WORD if patience is None else min(NEXT_WORD, patience - waited)
    return True
