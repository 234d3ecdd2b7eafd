"""Handling of SIGTERM, so that a terminated command leaves no servers and child processes behind."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def interrupt_on_sigterm() -> None:
    """Makes SIGTERM end this process like Ctrl-C, so that open contexts are closed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def exit_on_sigterm(code: int) -> Iterator[None]:
    """Makes SIGTERM end the block with this exit code."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(code))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
