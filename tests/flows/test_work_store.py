"""Runs of machines that share a work store: whose they are once a machine is lost."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from varjepa.config import RetrainConfig
from varjepa.errors import SetupError
from varjepa.tasks.processes.owner import HOST, TakenOverError, owner_tags, turn
from varjepa.tasks.tracking.killed_runs import JOB
from varjepa.tasks.tracking.runs import CurveLogger, opened_run
from varjepa.tasks.tracking.store import client_of, experiment_id
from varjepa.tasks.work_store.opened import model_turn, opened_place, work_uri
from varjepa.tasks.work_store.place import Place

pytestmark = pytest.mark.slow  # a tracking database


@pytest.fixture
def config(migrated: Path, tmp_path: Path) -> RetrainConfig:
    (tmp_path / "mlflow.db").write_bytes(migrated.read_bytes())
    return RetrainConfig.model_validate({
        "data": {"name": "sim"}, "tracking": {"uri": f"sqlite:///{tmp_path}/mlflow.db"},
        "work": {"uri": f"file://{tmp_path}/work", "lost_after": 1},
    })  # fmt: skip


def left_open(config: RetrainConfig, job: str) -> str:
    """A run whose machine is lost in the middle of it, seen from another host."""
    client = client_of(config.tracking)
    tags = owner_tags() | {HOST: "another machine", JOB: job}
    return client.create_run(experiment_id(config.tracking), tags=tags).info.run_id


def test_the_next_turn_goes_on_with_the_run_and_ends_the_others(config: RetrainConfig) -> None:
    client = client_of(config.tracking)

    def status(run_id: str) -> str:
        return client.get_run(run_id).info.status

    before = left_open(config, "job")  # without a work store
    with model_turn(config) as held:
        assert held
        same, other = left_open(config, "job"), left_open(config, "other job")
        with opened_run(config.tracking, command="retrain", name="a", job="job") as second:
            assert second not in (same, before)  # this turn is not over, as far as anybody knows
    assert turn.get() is None
    with model_turn(config), opened_run(config.tracking, command="retrain", name="a", job="job") as third:
        assert third == same
        assert [status(run) for run in (same, other, before)] == ["RUNNING", "KILLED", "RUNNING"]
    assert status(same) == "FINISHED"


def logged_until_lost(config: RetrainConfig, runs: list[str]) -> None:
    """A run whose second epoch ends after another machine has taken over."""
    with opened_run(config.tracking, command="retrain", name="a", job="job") as run_id:
        runs.append(run_id)
        curves = CurveLogger(run_id, config.tracking)
        curves.log({"epoch": 0.0, "training/rows_per_second": 1.0})
        setattr(turn.get(), "lost", True)  # noqa: B010 (a protocol says no more)
        curves.log({"epoch": 1.0, "training/rows_per_second": 1.0})


def test_who_has_lost_its_turn_stops_and_leaves_the_run_to_the_other(config: RetrainConfig) -> None:
    client = client_of(config.tracking)
    runs: list[str] = []
    with model_turn(config):
        with pytest.raises(TakenOverError, match="Another machine goes on"):
            logged_until_lost(config, runs)
        with pytest.raises(ZeroDivisionError), opened_run(config.tracking, command="retrain", name="b") as broken:
            raise ZeroDivisionError
    assert {client.get_run(run).info.status for run in (*runs, broken)} == {"RUNNING"}
    assert len(client.get_metric_history(runs[0], "training/rows_per_second")) == 1


def test_a_model_is_made_by_one_machine_at_a_time(config: RetrainConfig, tmp_path: Path) -> None:
    elsewhere = config.model_copy(update={"tracking": config.tracking.model_copy(
        update={"uri": f"sqlite:///{tmp_path}/other.db"})})  # fmt: skip  # so another lock of the machine
    with model_turn(config), model_turn(elsewhere, wait=False) as second:
        assert not second
    with model_turn(elsewhere, wait=False) as second:
        assert second


def test_prefect_hears_that_the_machine_of_a_flow_run_was_lost(config: RetrainConfig, prefect_server: None) -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.states import Running

    from varjepa.tasks.orchestration.flow_runs import claim_turn

    @flow
    def makes_a_model() -> None:
        claim_turn()

    with get_client(sync_client=True) as client:
        runs = [client.create_flow_run(makes_a_model, state=Running()) for _ in range(2)]
        with model_turn(config):
            own = turn.get()
            assert own is not None
            client.update_flow_run(runs[0].id, tags=["lost", f"varjepa.lease={own.name}"])
            makes_a_model()
        assert [client.read_flow_run(run.id).state.name for run in runs] == ["Crashed", "Running"]


def test_the_environment_overrides_the_config(config: RetrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    from varjepa.errors import ConfigError

    assert work_uri(config.work) == config.work.uri
    monkeypatch.setenv("VARJEPA_WORK_URI", "s3://bucket/elsewhere")
    assert work_uri(config.work) == "s3://bucket/elsewhere"
    monkeypatch.setenv("VARJEPA_WORK_URI", "s3://me:secret@bucket/elsewhere")
    with pytest.raises(ConfigError, match="holds a password"):
        work_uri(config.work)
    monkeypatch.setenv("VARJEPA_WORK_URI", "mlruns/work")
    with pytest.raises(ConfigError, match="it should be s3://BUCKET/FOLDER"):
        work_uri(config.work)


def test_a_store_without_conditional_writes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def overwrites(self: Place, key: str, content: bytes) -> bool:
        self.write(key, content)
        return True

    monkeypatch.setattr(Place, "create", overwrites)
    with pytest.raises(SetupError, match="lets two machines create the same object"):
        opened_place(f"file://{tmp_path}/work")


def test_old_results_are_cleaned_and_young_ones_stay(tmp_path: Path) -> None:
    import os
    import time
    from datetime import timedelta

    from varjepa.tasks.cleaning.policy import Policy
    from varjepa.tasks.cleaning.work_store import clean_work_store

    place = Place(f"file://{tmp_path}/work")
    keys = ["old-1/result.json", "old-1/rows.bin", "young-1/result.json", "young-1/rows.bin", "partial/old-2/1/a",
            "partial/young-2/1/a", "leases/old-3/1", "leases/young-3/1", "clock/old-4"]  # fmt: skip
    for key in keys:
        place.write(key, b"12")
        age = 40 if "old" in key or key == "young-1/rows.bin" else 5
        os.utime(tmp_path / "work" / key, (time.time() - age * 86400,) * 2)
    shown = clean_work_store(place, Policy(dry_run=True))
    assert clean_work_store(place, Policy()) == shown
    assert [(one.name.removeprefix(f"{place.uri}/"), one.size, one.why) for one in shown] == [
        ("clock/old-4", 2, "last used 40 days ago"), ("leases/old-3", 2, "last used 40 days ago"),
        ("old-1", 4, "last used 40 days ago"), ("partial/old-2", 2, "last used 40 days ago"),
    ]  # fmt: skip
    assert [item.key for item in place.items()] == [key for key in sorted(keys) if "old" not in key]
    assert len(clean_work_store(place, Policy(older=timedelta(days=1)))) == 3
    assert place.items() == []


def test_doctor_tries_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from varjepa.tasks.setup.doctor import examine

    def said() -> SimpleNamespace:
        (check,) = [check for check in examine() if check.name == "work store"]
        return SimpleNamespace(ok=check.ok, found=check.found)

    assert said() == SimpleNamespace(ok=True, found="none in VARJEPA_WORK_URI; results of steps stay on this machine")
    monkeypatch.setenv("VARJEPA_WORK_URI", f"file://{tmp_path}/work")
    Place(f"file://{tmp_path}/work").write("ingest-1/result.json", b"{}")
    assert said() == SimpleNamespace(ok=True, found=f"file://{tmp_path}/work, 1 shared results")
    (tmp_path / "file").touch()
    monkeypatch.setenv("VARJEPA_WORK_URI", f"file://{tmp_path}/file/work")
    assert not said().ok
