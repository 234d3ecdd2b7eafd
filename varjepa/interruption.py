"""Ctrl-C and SIGTERM wait for the end of what must not be cut in two, such as a training step with its checkpoint."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer, current_thread, main_thread
from types import FrameType
from typing import Any

PATIENCE = 1.5
"""Seconds that a signal waits. After that it interrupts what holds it."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class HeldSignals:
    """Signals that wait.

    Attributes:
        arrived: the first signal that waits; None if there is none.
    """

    def __init__(self) -> None:
        self.arrived: int | None = None
        self._before: dict[int, Any] = {}
        self._timer: Timer | None = None

    def hold(self) -> None:
        """Holds signals back from now on. Only the main thread of Python receives any."""
        if current_thread() is main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._on_signal)

    def let_go(self) -> None:
        """Ends the hold. A signal that has waited takes effect now."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._timer is not None:
            self._timer.cancel()
        arrived, self.arrived = self.arrived, None
        if arrived is not None:
            signal.raise_signal(arrived)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.arrived is None:
            self.arrived = number
            # The same signal again, if nothing has let it go in the meantime.
            self._timer = Timer(PATIENCE, os.kill, (os.getpid(), number))
            self._timer.daemon = True
            self._timer.start()
            return
        self.arrived = None
        handler = self._before[number]
        if callable(handler):
            handler(number, frame)
        elif handler == signal.SIG_DFL:
            signal.signal(number, handler)
            signal.raise_signal(number)


@contextmanager
def signals_held(*, on: bool = True) -> Iterator[HeldSignals]:
    """Holds Ctrl-C and SIGTERM back during the block; they take effect at its end at the latest.

    Args:
        on: False changes nothing: signals take effect at once.
    """
    held = HeldSignals()
    try:
        if on:
            held.hold()  # a signal in the middle of this is raised, and what was replaced is put back
        yield held
    finally:
        held.let_go()
