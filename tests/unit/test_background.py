"""A thread that accompanies a block ends with it, whenever the block is interrupted."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Event
from typing import Any

import pytest

from varjepa import interruption
from varjepa.background import End, accompanied_by

NAME = "accompanies a test"


def alive() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def none_left(seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while alive() and time.monotonic() < until:
        time.sleep(0.01)
    return not alive()


@pytest.fixture
def alarm_interrupts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A timer of the system in place of Ctrl-C, which comes at any microsecond."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(interruption, "SIGNALS", (signal.SIGALRM,))
    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_it_runs_during_the_block_only() -> None:
    begun = Event()

    def work(end: End) -> None:
        begun.set()
        end.wait(10)

    with accompanied_by(work, name=NAME):
        assert begun.wait(10)
        assert alive()
    assert none_left()


def test_the_end_waits_for_the_last_of_it_but_not_for_long() -> None:
    done = list[str]()

    def work(end: End) -> None:
        end.wait(10)
        time.sleep(0.1)
        done.append("last")

    with accompanied_by(work, name=NAME, last_seconds=10):
        pass
    assert done == ["last"]
    began = time.monotonic()
    with accompanied_by(lambda _: time.sleep(1), name=NAME, last_seconds=0.1):
        pass
    assert time.monotonic() - began < 0.8
    assert none_left()


@pytest.mark.usefixtures("alarm_interrupts")
def test_interruptions_at_any_moment_leave_nothing_running() -> None:
    """Work went on where a signal came while the thread started, or in the middle of `Event.set`."""
    running, interrupted = set[int](), 0

    def work(end: End) -> None:
        running.add(threading.get_ident())
        end.wait(60)
        running.remove(threading.get_ident())

    for number in range(300):
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-6 * (10 + number))
            with accompanied_by(work, name=NAME):
                time.sleep(0.001)
        except KeyboardInterrupt:
            interrupted += 1
        with suppress(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0)
    assert interrupted > 100
    assert none_left()
    assert not running
