"""Killed processes: what they leave, and that starting again ends as if nothing had happened."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.flows.conftest import caller, person_table, write_job
from tests.forked import Forks, Start
from tests.store_servers import free_port

ROOT = str(Path(__file__).parents[2])


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": ROOT} | more


DIES = """
import os, signal, sys
from varjepa.tasks.tracking.runs import CurveLogger, nested_run, opened_run
from varjepa.config.operations import TrackingSection
tracking = TrackingSection(uri=sys.argv[1])
def opened(name):
    return opened_run(tracking, command="retrain", name=name, job=f"job {name}", told=True)
with opened("a") as a, opened("b") as b, opened("c") as c, nested_run(tracking, b, step="part", name="b1") as part:
    CurveLogger(a, tracking).log({"epoch": 0.0, "training/rows_per_second": 1.0})
    print(a, b, c, part, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_same_job_goes_on_with_its_run_and_others_are_ended(migrated: Path, tmp_path: Path) -> None:
    from varjepa.config.operations import TrackingSection
    from varjepa.tasks.processes.owner import HOST
    from varjepa.tasks.tracking.runs import CurveLogger, opened_run
    from varjepa.tasks.tracking.store import client_for

    (tmp_path / "mlflow.db").write_bytes(migrated.read_bytes())
    tracking = TrackingSection(uri=f"sqlite:///{tmp_path}/mlflow.db")
    client = client_for(tracking.uri)

    words = [sys.executable, "-c", DIES, tracking.uri]
    done = subprocess.run(words, env=environment(), stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    same, other, elsewhere, part = done.stdout.split()
    client.set_tag(elsewhere, HOST, "another machine")

    def status(run_id: str) -> str:
        return client.get_run(run_id).info.status

    assert {status(run) for run in (same, other, elsewhere, part)} == {"RUNNING"}
    with opened_run(tracking, command="retrain", name="a", job="job a") as run_id:
        assert run_id == same
        assert {status(run) for run in (other, part)} == {"KILLED"}
        tags = client.get_run(other).data.tags
        assert "was killed" in tags["varjepa.failure"]
        assert (next(iter(tags)), tags["verdict"]) == ("verdict", "interrupted")
        with opened_run(tracking, command="retrain", name="a", job="job a") as second:
            assert second not in (same, elsewhere)  # this process lives, the other machine may
        assert {status(run) for run in (same, elsewhere)} == {"RUNNING"}
        curves = CurveLogger(run_id, tracking)
        for epoch in (0.0, 1.0):
            curves.log({"epoch": epoch, "training/rows_per_second": 2.0})
    assert status(same) == "FINISHED"
    # A run that was ended on behalf of its killed process is resumed, too, until the job has another run.
    with opened_run(tracking, command="retrain", name="b", job="job b") as run_id:
        assert run_id == other
        tags = client.get_run(other).data.tags
        assert ("varjepa.failure" in tags, tags["verdict"]) == (False, "in progress")
    with opened_run(tracking, command="retrain", name="b", job="job b") as run_id:
        assert run_id != other
    points = client.get_metric_history(same, "training/rows_per_second")
    assert [(point.step, point.value) for point in points] == [(1, 1.0), (2, 2.0)]


def test_a_retrain_killed_again_and_again_ends_like_an_undisturbed_one(
    forks: Forks, prefect_api: str, migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it trains, when its version is there but not its end, and when its end is there but no answer."""
    from mlflow import MlflowClient
    from prefect.client.orchestration import get_client

    quick = {"training": {"max_epochs": 3}, "generator": {"n_layers": 0}, "probe": {"head": "linear"}}
    job = write_job(tmp_path, person_table(200), data={"label": "rich"}, **quick)
    whole_home, home = tmp_path / "whole", tmp_path / "killed"
    start = Start(["retrain", str(job), "--json"], str(home), {"PREFECT_API_URL": prefect_api})

    def answer_of(place: Path) -> dict[str, Any]:
        """Of this process: those that are killed are others."""
        answer = caller(place, migrated, monkeypatch)("retrain", job, "--json")
        assert answer.code == 0, answer.err
        return answer.json

    whole = answer_of(whole_home)
    (home / "mlruns").mkdir(parents=True)
    (home / "mlruns/mlflow.db").write_bytes(migrated.read_bytes())
    client = MlflowClient(f"sqlite:///{home}/mlruns/mlflow.db")

    def kept(query: str) -> list[tuple[Any, ...]]:
        """What the store holds at this very moment; MLflow would take longer to tell."""
        with closing(sqlite3.connect(home / "mlruns/mlflow.db")) as store:
            return store.execute(query).fetchall()

    def killed_when(ready: Callable[[], object]) -> None:
        process = forks.start(start)
        deadline = time.monotonic() + 240
        while not ready() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.01)
        process.send(signal.SIGKILL)
        process.wait()

    def one_run(status: str) -> str:
        (run,) = client.search_runs(["1"])
        assert run.info.status == status
        return run.info.run_id

    killed_when(lambda: list(home.glob("mlruns/work/pretrain-*/checkpoint.pt")))
    first = one_run("RUNNING")
    killed_when(lambda: kept("select version from model_versions"))
    assert one_run("RUNNING") == first
    killed_when(lambda: kept("select status from runs") == [("FINISHED",)])  # but nobody has seen an answer
    assert one_run("FINISHED") == first
    answer = answer_of(home)
    assert one_run("FINISHED") == answer["run_id"] == first
    assert answer["metrics"] == whole["metrics"]
    assert "varjepa.asked" not in client.get_run(first).data.tags
    (version,) = client.search_model_versions("name = 'people'")
    (original,) = MlflowClient(f"sqlite:///{whole_home}/mlruns/mlflow.db").search_model_versions("name = 'people'")
    assert version.tags["varjepa.model_digest"] == original.tags["varjepa.model_digest"]
    assert len(client.search_logged_models(["1"])) == 1
    for name in ("train/elbo", "probe/accuracy"):
        steps = [point.step for point in client.get_metric_history(first, name)]
        assert steps == ([1, 2, 3] if name == "train/elbo" else [0]), name
    with get_client(sync_client=True) as prefect:
        states = [
            run.state.name
            for run in prefect.read_flow_runs()
            if run.parameters.get("config", {}).get("data", {}).get("path") == str(tmp_path / "people.csv")
        ]
    assert (len(states), set(states)) == (5, {"Completed", "Crashed"})
    assert states.count("Crashed") >= 2  # the third may have told Prefect that it was done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_retrain_whose_group_is_interrupted_ends_in_seconds_with_a_record_of_it(
    number: signal.Signals, forks: Forks, migrated: Path, prefect_database: Path, tmp_path: Path
) -> None:
    job = write_job(tmp_path, person_table(200), data={"label": "rich"}, training={"max_epochs": 500, "patience": 500})
    for database, place in ((migrated, "mlruns/mlflow.db"), (prefect_database, "prefect/prefect.db")):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).write_bytes(database.read_bytes())
    own = {"PREFECT_HOME": str(tmp_path / "prefect")}
    process = forks.start(Start(["retrain", str(job)], str(tmp_path), own, leads=True))
    deadline = time.monotonic() + 240
    while not list(tmp_path.glob("mlruns/work/pretrain-*/checkpoint.pt")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.1)
    servers = psutil.Process(process.pid).children(recursive=True)
    assert servers
    began = time.monotonic()
    os.killpg(process.pid, number)  # what a terminal and `timeout` do
    said = process.said()
    assert time.monotonic() - began < 8  # GRACE, and what a busy machine adds
    assert (said.code, "Run the same command again to resume." in said.err) == (1, True)
    assert "Traceback" not in said.err
    assert "Error logging" not in said.err
    assert not psutil.wait_procs(servers, timeout=30)[1]
    with sqlite3.connect(tmp_path / "prefect" / "prefect.db") as prefect:
        assert prefect.execute("select state_type from flow_run").fetchall() == [("CRASHED",)]
    with sqlite3.connect(tmp_path / "mlruns" / "mlflow.db") as tracking:
        assert tracking.execute("select status from runs").fetchall() == [("KILLED",)]


def test_children_of_killed_flows_are_ended_and_no_others() -> None:
    from varjepa.tasks.processes.owner import OWNER, end_children_of_the_dead, this_process

    def child(word: str, owner: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", word], env={OWNER: owner})

    dead = f"{os.getpid()}@1.00"  # this number, but a process of long ago
    lost = child("varjepa.tasks.retrain.worker", dead)
    kept = [child("varjepa.tasks.retrain.worker", this_process()), child("something else", dead)]
    try:
        time.sleep(0.5)
        end_children_of_the_dead()
        assert lost.wait(timeout=10) == -signal.SIGKILL
        assert [other.poll() for other in kept] == [None, None]
    finally:
        for other in kept:
            other.kill()
            other.wait()


def test_a_run_without_prefect_does_not_keep_the_next_one_from_it(prefect_server: None) -> None:
    from prefect.context import FlowRunContext
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from varjepa.tasks.orchestration.recorded_flow import flow

    @flow(name="looks")
    def recorded() -> bool:
        return FlowRunContext.get() is not None

    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        assert not recorded()
    assert recorded()
