"""Imports that take less time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Imports within the block take about three quarters of the time: nothing of what they make is garbage yet.

    Nor will it be: afterwards the collector passes over all that is there.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
