"""A store that stops to answer in the middle of a run: work goes on without it, and says so."""

import time
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from varjepa.tasks.sources.failures import AGAIN, failure
from varjepa.tasks.steps.log import log

T = TypeVar("T")

PAUSE = 30.0
"""Seconds for which a store that does not answer is left alone, so that every step need not wait for it."""


class Outage:
    """Calls a store, and does without it while it does not answer.

    Args:
        description: of the store, for people.
    """

    def __init__(self, description: str) -> None:
        self.description = description
        self._until, self._lock = 0.0, Lock()

    def call(self, function: Callable[[], T]) -> T | None:
        """What the function returns; None if the store does not answer."""
        if time.monotonic() < self._until:
            return None
        try:
            result = function()
        except Exception as error:
            if not speaks_of_a_store(error):
                raise
            with self._lock:
                if not self._until:
                    reason = str(failure(error, self.description, "used")).removesuffix(AGAIN)
                    log.warning("%s Until it can be used again, results stay on this machine.", reason.strip())
                self._until = time.monotonic() + PAUSE
            return None
        with self._lock:
            if self._until:
                log.info("%s can be used again", self.description)
                self._until = 0.0
        return result

    def over(self) -> None:
        """Makes the next call try again at once."""
        self._until = min(self._until, time.monotonic())


def speaks_of_a_store(error: Exception) -> bool:
    """Whether an error is one of a store, not a fault of ours.

    Examples:
        >>> speaks_of_a_store(ConnectionResetError()), speaks_of_a_store(KeyError("key"))
        (True, False)
    """
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in ("obstore", "_obstore")
