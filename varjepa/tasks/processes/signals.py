"""Handling of Ctrl-C and SIGTERM: a command ends within seconds, whatever it is doing, and leaves nothing behind."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread, current_thread, main_thread
from types import FrameType

GRACE = 4.0
"""Seconds from a signal to the end of the process. Within them, contexts are closed and the run is recorded."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)

WAKE = signal.SIGURG
"""A signal that programs ignore unless they ask for it."""

_interrupted = Event()
"""Set once Ctrl-C or SIGTERM has arrived."""

_patient = Event()
"""Set while a command stops its servers in order, which may take longer."""


def end_on_signals(message: str, answer: str = "") -> Callable[[], None]:
    """Makes SIGTERM end this process like Ctrl-C, and ends it by force if it has not ended within `GRACE` seconds.

    A second signal changes nothing: it must not interrupt what the first one closes.

    Args:
        message: for stderr, before an end by force.
        answer: for stdout, likewise.

    Returns:
        A function to call once the command has said all this itself, right before it ends.
    """
    answered = Event()
    _interrupted.clear()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if not _interrupted.is_set():
            _interrupted.set()
            raise KeyboardInterrupt

    def ends() -> None:
        answered.set()
        if _interrupted.is_set():  # the interpreter ends with handlers that kill, but leaves ignored signals alone
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)

    for number in SIGNALS:
        signal.signal(number, interrupt)
    signal.signal(WAKE, lambda *_: None)
    # A handler has to wait until the interpreter is back from a library. Its number arrives in this pipe at once.
    numbers, arrivals = os.pipe()
    os.set_blocking(arrivals, False)
    signal.set_wakeup_fd(arrivals, warn_on_full_buffer=False)

    def last_words() -> None:
        # Without Python's buffers, whose locks the main thread may hold.
        for stream, text in ((2, message), (1, answer)) if not answered.is_set() else ():
            os.write(stream, text.encode())

    Thread(target=_end_in_time, args=(numbers, last_words), name="signals", daemon=True).start()
    return ends


def _end_in_time(numbers: int, last_words: Callable[[], None]) -> None:
    while True:
        number = os.read(numbers, 1)[0]
        if number in SIGNALS and not _patient.is_set():
            _wake_main_thread()
            # Without the interpreter's end, which waits for threads. Children are bound to this process and end, too.
            with suppress(OSError):
                last_words()
            os._exit(1)


def _wake_main_thread() -> None:
    """Interrupts the main thread's system calls during `GRACE`: the system may have told another thread of a signal."""
    began, main = time.monotonic(), main_thread().ident
    while time.monotonic() - began < GRACE:
        if main is not None:
            signal.pthread_kill(main, WAKE)
        time.sleep(GRACE / 10)


@contextmanager
def exit_on_sigterm(code: int) -> Iterator[None]:
    """Makes SIGTERM end the block with this exit code. Servers in it have the time that they need to stop."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(code))
    _patient.set()
    try:
        yield
    finally:
        _patient.clear()
        signal.signal(signal.SIGTERM, before)


@contextmanager
def interruptions_restored() -> Iterator[None]:
    """Whatever leaves the block after Ctrl-C or SIGTERM is an interruption.

    Libraries make errors of their own of it: one that was being imported, for example, "cannot be initialised".

    Raises:
        KeyboardInterrupt: instead of any other exception, after a signal.
    """
    try:
        yield
    except Exception as error:
        if _interrupted.is_set():
            raise KeyboardInterrupt from error
        raise


@contextmanager
def undisturbed() -> Iterator[None]:
    """Around the last words of what ends: another Ctrl-C or SIGTERM does not cut them off."""
    if current_thread() is not main_thread():  # which has no signals to fear
        yield
        return
    before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
