"""`varjepa clean` on real stores: old versions go with their runs and files, what anything needs stays."""

import base64
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from tests.flows.conftest import caller, person_table, write_job
from varjepa.tasks.cleaning.flow_runs import clean_flow_runs
from varjepa.tasks.cleaning.policy import Policy
from varjepa.tasks.orchestration.flow_runs import labels
from varjepa.tasks.registry.champion import move_champion
from varjepa.tasks.registry.logged_models import use_store
from varjepa.tasks.registry.tags import RUN_TAG

DAY_MS = 86_400_000


class Store:
    """A store with versions of a model whose files hold nothing."""

    def __init__(self, home: Path) -> None:
        self.uri = f"sqlite:///{home}/mlruns/mlflow.db"
        self.client, self.artifacts = MlflowClient(self.uri), home / "artifacts"
        self.experiment = self.client.create_experiment("jobs", artifact_location=self.artifacts.as_uri())

    def run(self, *, step: str = "retrain", status: str = "FINISHED", age: int = 0, name: str = "people") -> str:
        now = int(time.time() * 1000) - age * DAY_MS
        run_id = self.client.create_run(self.experiment, start_time=now, tags={"varjepa.step": step}).info.run_id
        self.client.log_param(run_id, "registry.name", name)
        self.client.log_text(run_id, "x" * 100, "card.md")
        if status != "RUNNING":
            self.client.set_terminated(run_id, status, end_time=now)
        return run_id

    def version(self, name: str = "people", **options: Any) -> int:
        use_store(self.uri)  # MLflow looks a logged model up in its global store
        run_id = self.run(name=name, **options)
        model = self.client.create_logged_model(self.experiment, name="model", source_run_id=run_id)
        folder = Path(model.artifact_location.removeprefix("file://"))
        folder.mkdir(parents=True)
        (folder / "weights.bin").write_bytes(bytes(1000))
        self.client.finalize_logged_model(model.model_id, "READY")
        if name not in [known.name for known in self.client.search_registered_models()]:
            self.client.create_registered_model(name)
        made = self.client.create_model_version(name, f"models:/{model.model_id}", run_id, tags={RUN_TAG: run_id})
        return int(made.version)

    def versions(self, name: str = "people") -> set[int]:
        return {int(version.version) for version in self.client.search_model_versions(f"name = '{name}'")}

    def runs(self) -> set[str]:
        found = self.client.search_runs([self.experiment], run_view_type=ViewType.ALL)
        return {run.info.run_id for run in found}

    def files(self) -> int:
        return sum(path.is_file() for path in self.artifacts.rglob("*"))


@pytest.fixture
def place(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None):
    varjepa = caller(tmp_path / "home", migrated, monkeypatch)
    return varjepa, Store(tmp_path / "home")


def test_versions_beyond_the_newest_go_with_runs_and_files(place) -> None:
    varjepa, store = place
    for _ in range(7):
        store.version()
    other = store.version("other")
    move_champion(store.client, "people", 1, by="retrain", reason="first")
    move_champion(store.client, "people", 2, by="retrain", reason="better")
    move_champion(store.client, "people", 3, by="retrain", reason="better still")
    store.client.set_registered_model_alias("people", "audited", "4")
    shown = varjepa("clean", "--keep", 1, "--dry-run", "--json").json
    assert [one["name"] for one in shown["removed"]] == ["models:/people/6", "models:/people/5", "models:/people/1"]
    assert (len(store.versions()), store.files()) == (7, 16)
    done = varjepa("clean", "--keep", 1, "--json").json
    assert done["removed"] == shown["removed"]
    # 7 is the newest; 3 the champion, 2 the one before it; 4 has an alias.
    assert store.versions() == {2, 3, 4, 7}
    assert (len(store.runs()), store.files()) == (5, 10)
    assert len(list(store.artifacts.iterdir())) == 6  # a folder for each run, and one for the models
    assert store.versions("other") == {other}
    assert varjepa("models", "--json").code == 0
    assert varjepa("clean", "--keep", 1, "--json").json["removed"] == []


def test_versions_of_a_run_in_progress_and_young_versions_stay(place) -> None:
    varjepa, store = place
    running = store.version(status="RUNNING")
    for _ in range(3):
        store.version()
    assert varjepa("clean", "--keep", 2, "--older", "1d", "--json").json["removed"] == []
    removed = varjepa("clean", "--keep", 2, "--json").json["removed"]
    assert [one["name"] for one in removed] == ["models:/people/2"]
    assert running in store.versions()


def test_old_runs_go_only_if_an_age_is_named(place) -> None:
    varjepa, store = place
    store.version(age=50)
    old = {store.run(step=step, age=40, status=status) for step, status in
           (("retrain", "FAILED"), ("schedule", "FINISHED"), ("drift", "FINISHED"), ("retrain", "KILLED"))}  # fmt: skip
    newest = store.run(age=35)
    stays = {
        newest,
        store.run(age=5, status="FAILED"),
        store.run(step="benchmark", age=90),
        store.run(status="RUNNING"),
    }
    before = store.runs()
    assert varjepa("clean", "--keep", 3, "--json").json["removed"] == []
    answer = varjepa("clean", "--older", "30d", "--json")
    assert answer.code == 0, answer.err
    removed = answer.json["removed"]
    assert {one["kind"] for one in removed} == {"run"}
    assert store.runs() == before - old
    assert stays < store.runs()


def test_what_was_deleted_long_ago_goes_for_good(place) -> None:
    varjepa, store = place
    run_id, gone = store.run(), store.client.create_experiment("gone")
    store.client.delete_run(run_id)
    store.client.delete_experiment(gone)
    store.run(age=90, status="FAILED")
    varjepa("clean", "--older", "60d", "--json")
    assert gone in [one.experiment_id for one in store.client.search_experiments(view_type=ViewType.ALL)]
    varjepa("clean", "--json")
    assert run_id in store.runs()  # it can be restored for a month
    time.sleep(1.1)
    varjepa("clean", "--older", "1s", "--json")
    assert run_id not in store.runs()


def test_cleaning_makes_no_store(place, tmp_path: Path) -> None:
    varjepa, _ = place
    answer = varjepa("clean", "--keep", 1, "--tracking-uri", f"sqlite:///{tmp_path}/none/mlflow.db", "--json")
    assert (answer.code, answer.json["removed"]) == (0, [])
    assert not (tmp_path / "none").exists()


def test_flow_runs_of_ours_go_and_those_of_others_stay(prefect_server: None, tmp_path: Path) -> None:
    from prefect import flow, tags
    from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

    @flow(name="any", flow_run_name="{name}")
    def run(name: str) -> str:
        return name

    mine, other = f"mine-{uuid4()}", f"other-{uuid4()}"
    with tags(*labels()):
        run(mine)
    run(other)
    storage = tmp_path / "storage"
    storage.mkdir()
    for name, content in (("ours", b"a varjepa.errors.DataError"), ("others", b"an error"), ("odd", b"\xff")):
        (storage / name).write_bytes(base64.b64encode(content) if name != "odd" else content)
        os.utime(storage / name, (1, 1))
    time.sleep(0.2)
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: storage}):
        shown = clean_flow_runs(Policy(older=timedelta(seconds=0.1), dry_run=True))
        assert clean_flow_runs(Policy(older=timedelta(seconds=0.1))) == shown
    assert {mine, "ours"} <= {one.name for one in shown}
    assert not {other, "others", "odd"} & {one.name for one in shown}
    assert sorted(path.name for path in storage.iterdir()) == ["odd", "others"]
    left = {one.name for one in clean_flow_runs(Policy(older=timedelta(seconds=0.1), dry_run=True))}
    assert mine not in left


@pytest.mark.slow
def test_a_scheduled_run_follows_the_retention_of_its_config(place, tmp_path: Path) -> None:
    from varjepa.config import load_config
    from varjepa.flows.schedule import scheduled_retrain

    varjepa, store = place
    for _ in range(3):
        store.version()
    more = {"retention": {"keep": 1}, "probe": {"head": "linear"}}
    job = write_job(tmp_path / "job", person_table(300), data={"label": "rich"}, **more)
    varjepa("models")  # moves into the folder of the store
    scheduled_retrain(load_config(job))
    assert store.versions() == {4}
    assert varjepa("score", "models:/people@champion", tmp_path / "job" / "people.csv", "out.parquet").code == 0
