"""Whoever waits for another process says so, and those who never had to wait say nothing."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from varjepa.tasks.steps import turns
from varjepa.tasks.steps.turns import acquire, in_turn, wait_for

WHO = "another process makes the same thing"


@pytest.fixture
def held(tmp_path: Path) -> Iterator[threading.Event]:
    """A lock that another thread holds until the event is set."""
    begun, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with FileLock(tmp_path / "thing.lock"):
            begun.set()
            ended.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(10)
    yield ended
    ended.set()
    thread.join()


def test_a_free_lock_is_taken_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lock = FileLock(tmp_path / "thing.lock")
    with in_turn(lock, WHO):
        assert lock.is_locked
    assert not lock.is_locked
    assert not caplog.text


def test_who_waits_says_for_whom(tmp_path: Path, held: threading.Event, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    threading.Timer(0.3, held.set).start()
    lock = FileLock(tmp_path / "thing.lock")
    with in_turn(lock, WHO):
        assert lock.is_locked
    assert [record.message for record in caplog.records if "waiting" in record.message] == [f"{WHO}; waiting for it"]


def test_moments_are_not_worth_a_word(tmp_path: Path, held: threading.Event, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    threading.Timer(0.3, held.set).start()
    acquire(FileLock(tmp_path / "thing.lock"), WHO, soon=True)
    assert "waiting" not in caplog.text


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("soon", [True, False])
def test_patience_ends(tmp_path: Path, *, soon: bool) -> None:
    with pytest.raises(Timeout):
        acquire(FileLock(tmp_path / "thing.lock"), WHO, soon=soon, patience=0.2)


def test_long_waits_say_so_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now, tries = 0.0, list[float]()

    def taken(seconds: float) -> bool:
        nonlocal now
        now += seconds
        tries.append(seconds)
        return False

    monkeypatch.setattr(turns.time, "monotonic", lambda: now)  # minutes in no time
    assert not wait_for(taken, WHO, soon=True, patience=200)
    assert sum(tries) == pytest.approx(200)
    words = [record.message for record in caplog.records]
    assert words == [f"{WHO}; waiting for it{more}" for more in ("", *(f", for {s} s so far" for s in (65, 125, 185)))]
