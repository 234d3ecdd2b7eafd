"""What SIGTERM does to a command: it must not leave servers and children behind."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def interrupt_on_sigterm() -> None:
    """Lets SIGTERM end this process as Ctrl-C does: whatever is open is closed on the way out."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def exit_on_sigterm(code: int) -> Iterator[None]:
    """Lets SIGTERM end the block as an exit with a code."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(code))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
