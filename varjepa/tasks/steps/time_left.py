"""How long work will still take, in words."""

import time
from collections.abc import Sequence
from typing import Protocol, TypeVar

from varjepa.config.durations import in_words
from varjepa.tasks.steps.log import log

SHOW_EVERY = 10.0
"""Seconds between two lines about the progress of the same work."""

_R = TypeVar("_R")
_R_co = TypeVar("_R_co", covariant=True)


class Future(Protocol[_R_co]):
    """The result of work that may still go on."""

    def result(self) -> _R_co:
        """Waits for it."""


def time_left(seconds: float | None) -> str:
    """The time left, with its name; None before there is anything to measure by.

    Examples:
        >>> time_left(None), time_left(200)
        ('time left: being measured', 'time left: 3 min 20 s')
    """
    return f"time left: {'being measured' if seconds is None else in_words(seconds)}"


def collected(futures: Sequence[Future[_R]], what: str) -> list[_R]:
    """Waits for results in their order, and logs how many are there at most every `SHOW_EVERY` seconds.

    Args:
        futures: work in parts of about the same size.
        what: they are, in the plural.
    """
    results = list[_R]()
    started = shown = time.perf_counter()
    for future in futures:
        results.append(future.result())
        now = time.perf_counter()
        if now - shown > SHOW_EVERY:
            shown, rest = now, len(futures) - len(results)
            left = time_left((now - started) / len(results) * rest)
            log.info("%d of %d %s, %s", len(results), len(futures), what, left)
    return results
