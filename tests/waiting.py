"""Waits for what another process does."""

import time
from collections.abc import Callable
from typing import Any

DEADLINE = 300
"""Seconds; on a busy machine the start of a server takes many of them."""


def eventually(look: Callable[[], Any], what: str) -> Any:
    """What `look` finds, as soon as it finds anything.

    Raises:
        AssertionError: it found nothing in time.
    """
    end = time.monotonic() + DEADLINE
    while (began := time.monotonic()) < end:
        if found := look():
            return found
        time.sleep(max(0.2, 5 * (time.monotonic() - began)))  # what looks often takes time from what it waits for
    raise AssertionError(f"never: {what}")
