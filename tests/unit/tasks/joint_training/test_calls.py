"""Calls for machines in a work store: who joins, and what they refuse."""

import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from varjepa.config.operations import WorkSection
from varjepa.errors import ConfigError
from varjepa.tasks.cleaning.policy import Policy
from varjepa.tasks.cleaning.work import clean_work
from varjepa.tasks.joint_training import join as joining
from varjepa.tasks.joint_training.call import Call, found_call, open_calls, seldom
from varjepa.tasks.joint_training.network import address_towards, interface_to, own_address
from varjepa.tasks.processes.ports import free_port
from varjepa.tasks.steps.reuse import DONE, WORK, code_digest
from varjepa.tasks.work_store.opened import shared_work
from varjepa.tasks.work_store.place import Place
from varjepa.tasks.work_store.results import SharedResults

TRAINING, ROWS = "pretrain-0123456789ab", "preprocess-0123456789ab"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SharedResults:
    """A store in a folder, and a machine that has the rows."""
    monkeypatch.chdir(tmp_path)
    (WORK / ROWS).mkdir(parents=True)
    (WORK / ROWS / DONE).write_text("{}")
    return SharedResults(Place(f"file://{tmp_path}/store"), lost_after=5.0, checkpoint_seconds=0.0)


def called(store: SharedResults, **changes: object) -> Call:
    facts = {
        "training": TRAINING, "attempt": "a" * 32, "code": code_digest(joining.CODE), "rows": ROWS,
        "encoded": "encoded.parquet", "preprocessor": "preprocessor.json", "run_id": "1", "config": {}, "machines": 3,
        "lost_after": 5.0, "address": "127.0.0.1", "port": 1,
    }  # fmt: skip
    call = Call.model_validate(facts | changes)
    store.place.write(call.key, call.model_dump_json().encode())
    return call


def test_each_machine_takes_a_place_of_its_own_as_long_as_there_are_some(store: SharedResults) -> None:
    leading = called(store).leading(store.place, store.outage)
    assert joining._seat(store, set()) is None  # nobody leads: the machine that called has died
    assert leading.take()
    seats = [joining._seat(store, set()) for _ in range(3)]
    assert [seat and seat.number for seat in seats] == [1, 2, None]
    assert seats[0] is not None
    begun = called(store, members=[0, 2])
    assert open_calls(store.place) == []
    assert joining._members(seats[0], store) == (0, 2)
    store.place.delete([begun.key])
    assert joining._members(seats[0], store) == ()
    for held in (leading, *(seat.lease for seat in seats if seat)):
        held.forget()


def test_a_call_of_other_code_is_told_once_and_not_followed(
    store: SharedResults, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("varjepa"), "propagate", True)
    leading, told = called(store, code="other").leading(store.place, store.outage), set[str]()
    assert leading.take()
    assert joining._seat(store, told) is None
    assert any("another version" in message for message in caplog.messages)
    caplog.clear()
    assert joining._seat(store, told) is None
    assert caplog.messages == []
    leading.forget()


@pytest.mark.parametrize("changes", [
    {"training": "../../etc"}, {"rows": "a/b"}, {"encoded": "../x"}, {"preprocessor": "/etc/passwd"}, {"more": 1},
])  # fmt: skip
def test_a_call_names_nothing_outside_of_the_work_folder(store: SharedResults, changes: dict) -> None:
    with pytest.raises(ValidationError):
        called(store, **changes)


def test_a_call_that_is_over_is_none(store: SharedResults) -> None:
    assert found_call(store.place, "calls/none.json") is None
    store.place.write("calls/other.json", b'{"of": "another version"}')
    assert open_calls(store.place) == []


def test_machines_need_a_store_and_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VARJEPA_WORK_URI", raising=False)
    with (
        pytest.raises(ConfigError, match="machines is 2, but there is no work store"),
        shared_work(WorkSection(machines=2)),
    ):
        pass
    with pytest.raises(ConfigError, match="address of this one"):
        own_address(None, "sqlite:///mlruns/mlflow.db")
    assert own_address("10.0.0.5", "sqlite:///mlruns/mlflow.db") == "10.0.0.5"
    assert own_address(None, "http://127.0.0.1:5000") == "127.0.0.1"
    assert address_towards("no such host", 1) is None
    assert interface_to("127.0.0.1", free_port()) == "lo"


def test_a_question_that_is_seldom_asked_keeps_its_answer() -> None:
    answers = iter([True, False])
    ask = seldom(lambda: next(answers), 3600.0)
    assert [ask(), ask(), ask()] == [True] * 3


def test_cleaning_leaves_what_a_machine_trains_with(store: SharedResults, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training of days: nothing has been written to the rows, nor to the folder of the attempt, for two of them."""
    job = {"data": {"name": "sim"}}
    leading = called(store).leading(store.place, store.outage)
    assert leading.take()
    seat = joining._seat(store, set())
    assert seat is not None
    seat = seat._replace(call=called(store, members=[0, 1], config=job))
    attempt, kept = WORK / f"join-{'a' * 12}", list[bool]()

    def trained(_job: object, _config: object, _machines: object, still: Callable[[], bool]) -> int:
        for folder in (attempt, WORK / ROWS):
            for path in (folder, *folder.iterdir()):
                os.utime(path, (time.time() - 2 * 86_400,) * 2)
        still()
        clean_work(Policy(older=timedelta(hours=12)))
        kept.extend(folder.is_dir() for folder in (attempt, WORK / ROWS))
        return 0

    monkeypatch.setattr(joining, "run_processes", trained)  # a training of two days
    joining._trained(seat, store)
    assert kept == [True, True]
    for held in (leading, seat.lease):
        held.forget()
