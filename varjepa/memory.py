"""What to do where memory is short: say so, and work on fewer rows at a time."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from varjepa.background import End, accompanied_by
from varjepa.errors import VarjepaError, require_whole
from varjepa.machine import GIB, memory_left

T = TypeVar("T")

log = logging.getLogger("varjepa")

ONEDNN = ("could not create a", "could not execute a primitive")
WORDS = ("can't allocate memory", "out of memory", "cannot allocate memory", "bad_alloc", "bad allocation",
         "not enough memory", *ONEDNN)  # fmt: skip
"""How torch, oneDNN and the C++ library say that there is no memory, each as a plain RuntimeError."""


RETRAIN = int(1.2 * GIB)
"""Bytes that the smallest retrain takes with all its libraries: in a control group of 1,000 MiB it is killed."""


SHORT = 128 * 2**20
"""Bytes; where less are left, the system may end a process at any moment."""

LOOK_SECONDS = 0.2
"""Seconds between two looks at the memory that is left."""


class OutOfMemoryError(VarjepaError):
    """There is not enough memory even for a single row at a time."""

    def __init__(self) -> None:
        left = memory_left()
        rest = "" if left is None else f" {left / GIB:.2f} GiB are left."
        super().__init__(
            f"There is not enough memory, even for one row at a time.{rest}",
            fix="Stop other programs, raise the limit of this process or container, or choose a smaller model.",
        )


def warn_of_little_memory(least: int = RETRAIN) -> None:
    """Says so if less memory is left than a command takes: the system may end it without a word.

    Args:
        least: bytes.
    """
    left = memory_left()
    if left is not None and left < least:
        log.warning(
            "only %.2f GiB of memory are left, a small retrain takes about %.1f GiB: the system may end it halfway",
            left / GIB, least / GIB,
        )  # fmt: skip


@contextmanager
def watched_memory() -> Iterator[None]:
    """Says in the block when memory gets short: the system ends a process that needs more without a word."""
    with accompanied_by(_watch, name="memory"):
        yield


def _watch(end: End) -> None:
    said = False
    while not end.wait(LOOK_SECONDS):
        left = memory_left()
        if left is None or left > 2 * SHORT:
            said = False
        elif left < SHORT and not said:
            said = True
            log.warning(
                "only %.0f MiB of memory are left. If this command ends without a word, the system has ended it: give "
                "it more memory, or less to do at a time; then run the same command again to resume", left / 2**20,
            )  # fmt: skip


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out.

    Examples:
        >>> out_of_memory(MemoryError()), out_of_memory(RuntimeError("could not create a primitive"))
        (True, True)
        >>> out_of_memory(RuntimeError("shapes cannot be multiplied"))
        False
    """
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in WORDS)


def ran_out(error: BaseException) -> bool:
    """As `out_of_memory`, for work that goes on with smaller parts.

    oneDNN may fail for ever after it has once found no memory, also for a single row and when there is plenty again.
    Torch's own kernels, which are slower, then take its place for the rest of the process.
    """
    if not out_of_memory(error):
        return False
    if any(words in str(error).lower() for words in ONEDNN):
        import torch  # noqa: PLC0415 (commands that compute nothing check memory, too)

        torch.backends.mkldnn.set_flags(_enabled=False)
    return True


def in_parts(compute: Callable[[slice], T], rows: int, size: int) -> Iterator[T]:
    """Computes rows in parts, and in smaller ones from where memory runs out.

    Args:
        compute: the result of some rows; it must not depend on the rows beside them.
        rows: their number; without any, one empty part is computed, so that there is a result.
        size: rows of a part.

    Raises:
        ConfigError: `size` is below 1.
        OutOfMemoryError: memory does not suffice for one row.
    """
    require_whole(size, "batch_size", 1)
    start = 0
    while start < max(rows, 1):
        part = slice(start, start + size)
        result = _attempt(compute, part)
        if result is None:
            size = smaller(size)
            continue
        yield result[0]
        start = part.stop


def _attempt(compute: Callable[[slice], T], part: slice) -> tuple[T] | None:
    """The result; None if there is no memory for it. The error's frames, which hold tensors, end here."""
    try:
        return (compute(part),)
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        return None


def smaller(size: int) -> int:
    """Half as many rows at a time, said to the user.

    Raises:
        OutOfMemoryError: it was one row already.
    """
    if size <= 1:
        raise OutOfMemoryError
    log.warning("memory is short: going on with %d instead of %d rows at a time", size // 2, size)
    return size // 2
