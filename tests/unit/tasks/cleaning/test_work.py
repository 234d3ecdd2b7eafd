"""Cleaning the folder of intermediate results: what is old goes, what anybody uses stays."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from varjepa.tasks.cleaning.policy import Policy
from varjepa.tasks.cleaning.work import clean_work
from varjepa.tasks.cleaning.work_store import clean_work_store
from varjepa.tasks.steps.reuse import reuse, step_folder
from varjepa.tasks.work_store.lease import Lease
from varjepa.tasks.work_store.outage import Outage
from varjepa.tasks.work_store.place import Place

DAY = 86400
USER = """
import sys, time
from pathlib import Path
from varjepa.tasks.steps.in_use import mark_in_use
mark_in_use(Path("mlruns/work"))
print("marked", flush=True)
time.sleep(60)
"""


@dataclass
class Result:
    value: int


def made(name: str, age: float) -> Path:
    """The folder of a step that was last used `age` seconds ago."""
    folder = step_folder(name, age, code="varjepa.tasks.steps.files")
    reuse(folder, Result, lambda: Result(1))
    (folder / "rows.bin").write_bytes(bytes(1000))
    _age(folder, age)
    return folder


def _age(folder: Path, age: float) -> None:
    then = time.time() - age
    for path in (*folder.iterdir(), folder, folder.with_name(folder.name + ".lock")):
        os.utime(path, (then, then))


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from varjepa.tasks.steps import in_use

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(in_use, "_held", {})  # marks of this process belong to other folders


@pytest.fixture
def unmarked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if other, ended processes had made the results."""
    monkeypatch.setattr("varjepa.tasks.steps.reuse.mark_in_use", lambda work: None)


@pytest.mark.usefixtures("unmarked")
def test_old_results_go_with_their_locks_and_young_ones_stay() -> None:
    old, young = made("pretrain", 40 * DAY), made("probe", 5 * DAY)
    (removed,) = clean_work(Policy())
    assert (removed.kind, removed.name, removed.why) == ("work folder", str(old), "last used 40 days ago")
    assert removed.size >= 1000
    assert sorted(path.name for path in Path("mlruns/work").iterdir()) == [young.name, f"{young.name}.lock"]


@pytest.mark.usefixtures("unmarked")
def test_a_dry_run_removes_nothing() -> None:
    old = made("pretrain", 40 * DAY)
    assert [one.name for one in clean_work(Policy(dry_run=True))] == [str(old)]
    assert (old / "rows.bin").exists()


@pytest.mark.usefixtures("unmarked")
def test_a_reused_result_is_young_again() -> None:
    old = made("pretrain", 40 * DAY)
    reuse(old, Result, lambda: pytest.fail("made again"))
    assert clean_work(Policy()) == []


@pytest.mark.usefixtures("unmarked")
def test_a_locked_folder_stays() -> None:
    old = made("pretrain", 40 * DAY)
    with FileLock(old.with_name(f"{old.name}.lock")):
        os.utime(old.with_name(f"{old.name}.lock"), (0, 0))
        assert clean_work(Policy()) == []
    assert len(clean_work(Policy())) == 1


@pytest.mark.usefixtures("unmarked")
def test_what_a_living_process_may_have_used_stays_until_it_ends() -> None:
    old = made("validate", 40 * DAY)
    user = subprocess.Popen([sys.executable, "-c", USER], stdout=subprocess.PIPE, text=True,
                            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])})  # fmt: skip
    try:
        assert user.stdout is not None
        assert user.stdout.readline() == "marked\n"
        used = made("preprocess", 0)
        assert [one.name for one in clean_work(Policy(older=timedelta(seconds=0.001)))] == [str(old)]
        assert used.exists()
    finally:
        user.kill()
        user.wait()
    _age(used, 1)
    assert [one.name for one in clean_work(Policy(older=timedelta(seconds=0.5)))] == [str(used)]
    assert list(Path("mlruns/work").iterdir()) == []


def test_this_process_keeps_what_it_has_used() -> None:
    used = made("preprocess", 0)
    assert clean_work(Policy(older=timedelta(seconds=0.001))) == []
    assert used.exists()


@pytest.mark.usefixtures("unmarked")
def test_leftovers_of_a_killed_cleaning_are_removed() -> None:
    old = made("pretrain", 40 * DAY)
    half = old.with_name(f"{old.name}.removed")
    half.mkdir()
    (half / "rows.bin").write_bytes(b"1")
    clean_work(Policy())
    assert list(Path("mlruns/work").iterdir()) == []


def test_old_tracebacks_go() -> None:
    folder = Path("mlruns/errors")
    folder.mkdir(parents=True)
    for name, age in (("varjepa-1.log", 40), ("varjepa-2.log", 1), ("notes.txt", 40)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age * DAY,) * 2)
    assert [one.kind for one in clean_work(Policy())] == ["traceback"]
    assert sorted(path.name for path in folder.iterdir()) == ["notes.txt", "varjepa-2.log"]


def test_a_shared_result_that_another_machine_removes_meanwhile_is_left_alone(tmp_path: Path) -> None:
    class Shared(Place):
        def folders(self) -> list[str]:
            return [*super().folders(), "probe-0123456789ab"]  # listed, and gone by now

    place = Shared(f"file://{tmp_path}/store")
    place.write("fit-0123456789ab/rows", b"old")
    os.utime(tmp_path / "store" / "fit-0123456789ab" / "rows", (0, 0))
    assert [one.name.rpartition("/")[2] for one in clean_work_store(place, Policy())] == ["fit-0123456789ab"]
    assert place.items() == []


def test_what_a_running_job_works_on_stays_however_short_the_age(tmp_path: Path) -> None:
    place, second = Place(f"file://{tmp_path}/store"), Policy(older=timedelta(seconds=1))
    lease = Lease(place, "model-0123456789ab", 86_400.0, Outage("The work store"))
    assert lease.take()
    for key in ("partial/fit-0123456789ab/000000001/checkpoint.pt", "preprocess-0123456789ab/result.json"):
        place.write(key, b"1")
    hour = time.time() - 3600
    for item in place.items():  # renewed every six hours
        os.utime(tmp_path / "store" / item.key, (hour, hour))
    assert clean_work_store(place, second) == []
    lease.release()
    place.write("fit-0123456789ab/result.json", b"1")
    os.utime(tmp_path / "store" / "fit-0123456789ab" / "result.json", (hour, hour))
    gone = [one.name.rpartition("/")[2] for one in clean_work_store(place, second)]
    assert gone == ["fit-0123456789ab", "preprocess-0123456789ab"]
    assert not Lease(place, "model-0123456789ab", 60.0, Outage("The work store")).held()
