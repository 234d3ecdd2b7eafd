"""How many trials a fuzzer runs, how long one may take, and the count of its outcomes.

In CI each fuzzer runs a few trials of the same seeds every time. `make fuzz` runs many, as many as suit the fuzzer,
but at most FUZZ. FUZZ_SEED moves them to other seeds.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

LARGE = int(os.environ.get("FUZZ", "0"))
FIRST = int(os.environ.get("FUZZ_SEED", "0"))


def seeds(small: int, large: int) -> range:
    """The seeds of the trials: `small` of them in CI, `large` by `make fuzz`."""
    return range(FIRST, FIRST + (min(large, LARGE) if LARGE else small))


class Hang(BaseException):
    """A trial takes too long. No `Exception`, so that nothing in between turns it into something else."""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Ends the block with `Hang` after this time."""

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise Hang(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def report(capsys: pytest.CaptureFixture[str], what: str, outcomes: Counter[str], faults: list[str]) -> None:
    """Prints the counts of a large run, and fails with all faults together."""
    if LARGE:
        with capsys.disabled():
            sys.stdout.write(f"\n{what}: {dict(sorted(outcomes.items()))}, {len(faults)} faults\n")
    assert not faults, "\n\n".join(faults)
