"""Computes something on another core while this thread goes on.

Steps of small tables are too short to be shared by threads, which spend their time on waiting for each other. Two
different computations share nothing, so each has its own cores.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from threading import Thread
from typing import Generic, TypeVar

import torch

_T = TypeVar("_T")

SMALL = 2**18
"""Cells of a table up to which trees are faster on one thread: theirs are the shortest of all steps."""


@dataclass
class _Share:
    """What a computation has of the machine; another thread changes it when it is done itself."""

    threads: int


_SHARE: ContextVar[_Share | None] = ContextVar("share", default=None)
"""Of this thread and those that it starts; torch keeps a number for each thread, which no other thread can change."""


def threads_for(cells: int) -> int:
    """Threads that trees should use for so many cells; their number does not change the trees.

    Examples:
        >>> threads_for(6_000 * 32)
        1
    """
    share = _SHARE.get()
    return 1 if cells <= SMALL else torch.get_num_threads() if share is None else share.threads


class Aside(Generic[_T]):
    """A result that another thread computes, which ends with the process.

    Args:
        function: computes it. It must not draw from torch's global generator, which all threads share.
    """

    def __init__(self, function: Callable[[], _T]) -> None:
        self._results: list[_T] = []
        self._errors: list[BaseException] = []
        # The context says, for example, which run log messages belong to.
        self._thread = Thread(target=copy_context().run, args=(self._call, function), daemon=True)
        self._thread.start()

    def _call(self, function: Callable[[], _T]) -> None:
        try:
            self._results.append(function())
        except BaseException as error:  # noqa: BLE001 (raised again where the result is needed)
            self._errors.append(error)

    def result(self) -> _T:
        """Waits for the result.

        Raises:
            BaseException: whatever the function has raised.
        """
        self._thread.join()
        if self._errors:
            raise self._errors[0]
        return self._results[0]


@contextmanager
def halved_threads() -> Iterator[bool]:
    """Within it this thread and another one have half of the cores each; says whether there are cores for two.

    After it, trees that the other one begins to fit have all of them.
    """
    every = torch.get_num_threads()
    share = _Share(max(1, every // 2))
    token = _SHARE.set(share)
    torch.set_num_threads(share.threads)
    try:
        yield every > 1
    finally:
        torch.set_num_threads(every)
        share.threads = every
        _SHARE.reset(token)
