"""Schedules on a real Prefect server, and what is refused."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
import pytest

from tests.flows.conftest import caller, person_table, write_job
from tests.store_servers import free_port
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]


def prefect_pages_ask(port: int) -> str:
    """Where the pages of the Prefect server on this port look for its API."""
    return httpx.get(f"http://127.0.0.1:{port}/ui-settings").json()["api_url"]


@pytest.fixture(scope="module")
def served(
    migrated: Path, prefect_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    """`varjepa schedule ... --server` as a person starts it, with nothing configured; and clients of its servers."""
    from mlflow import MlflowClient
    from prefect.settings import PREFECT_API_URL, temporary_settings

    home, port = tmp_path_factory.mktemp("scheduled"), free_port()
    for database, place in ((migrated, "mlruns/mlflow.db"), (prefect_database, "prefect/prefect.db")):
        (home / place).parent.mkdir()
        (home / place).write_bytes(database.read_bytes())
    job = write_job(
        home, person_table(100), data={"label": "rich"}, generator={"n_layers": 0}, probe={"head": "linear"}
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "MLFLOW"))}
    environment = kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PREFECT_HOME": str(home / "prefect"),
                          "PREFECT_RUNNER_POLL_FREQUENCY": "1"}  # fmt: skip
    command = [sys.executable, "-m", "varjepa.flows.cli", "schedule", job, "--interval", "12s", "--server"]
    with (home / "schedule.log").open("w") as log:
        process = subprocess.Popen([*command, "--port", str(port)], cwd=home, env=environment, stdout=log, stderr=log)
    mlflow = MlflowClient(f"sqlite:///{home}/mlruns/mlflow.db")
    try:
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}):
            yield SimpleNamespace(home=home, port=port, process=process, mlflow=mlflow)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=90)


def runs_of(mlflow: Any, status: str) -> list[Any]:
    experiments = [e.experiment_id for e in mlflow.search_experiments()]
    return mlflow.search_runs(experiments, f"status = '{status}'", order_by=["attributes.start_time"])


def test_a_schedule_retrains_by_itself_and_only_when_something_changed(served: SimpleNamespace) -> None:
    """Three runs come: the table's, one of changed data and parameters, and one that finds nothing to do."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError

    mlflow = served.mlflow
    eventually(lambda: runs_of(mlflow, "RUNNING"), "a first run")  # which has its snapshot
    person_table(120, seed=1).write_csv(served.home / "people.csv")
    with get_client(sync_client=True) as prefect:
        (deployment,) = prefect.read_deployments()
        assert (deployment.name, deployment.schedules[0].active) == ("people", True)
        assert prefect_pages_ask(served.port) == f"http://127.0.0.1:{served.port}/api"
        overlapping = prefect.create_flow_run_from_deployment(deployment.id)
        config = deployment.parameters["config"]
        prefect.update_deployment(deployment.id, with_training(config, max_epochs=1))
        wrong = config | {"training": config["training"] | {"max_epochs": "many"}}
        with pytest.raises(PrefectHTTPStatusError, match="many"):
            prefect.create_flow_run_from_deployment(deployment.id, parameters={"config": wrong})
        eventually(lambda: len(runs_of(mlflow, "FINISHED")) > 2, "three runs")
        one, two, three = runs_of(mlflow, "FINISHED")[:3]
        assert prefect.read_flow_run(overlapping.id).state.name == "Cancelled"
        eventually(lambda: "Skipped" in {run.state.name for run in prefect.read_flow_runs()}, "a skipped flow run")
        logged = {entry.message.partition(":")[0] for entry in prefect.read_logs(limit=200)}
        assert {"validate starts", "pretrain starts", "epoch 1/2"} <= logged

    def said(run: Any) -> tuple[Any, ...]:
        return run.data.tags["varjepa.step"], run.data.params["training.max_epochs"], run.data.tags.get("varjepa.model")

    assert said(one) == ("retrain", "2", "models:/people/1")
    assert said(two) == ("retrain", "1", "models:/people/2")
    assert said(three) == ("schedule", "1", None)
    assert two.data.tags["varjepa.fingerprint"] == three.data.tags["varjepa.fingerprint"]
    assert f"run {two.info.run_id}, which made models:/people/2" in three.data.tags["varjepa.skipped"]
    assert len(mlflow.search_model_versions("name = 'people'")) == 2


def test_ctrl_c_in_the_middle_of_a_run_ends_the_run_before_its_server(served: SimpleNamespace) -> None:
    """The schedule goes on with a training that is not over when the signal comes."""
    from prefect.client.orchestration import get_client

    mlflow = served.mlflow
    with get_client(sync_client=True) as prefect:
        (deployment,) = eventually(lambda: answered(prefect.read_deployments), "a deployment")
        config = deployment.parameters["config"]
        prefect.update_deployment(deployment.id, with_training(config, max_epochs=100_000, patience=100_000))

    def in_training() -> list[str]:
        return [run.info.run_id for run in runs_of(mlflow, "RUNNING")
                if run.data.params.get("training.max_epochs") == "100000"
                and "training/rows_per_second" in run.data.metrics]  # fmt: skip

    (run_id,) = eventually(in_training, "an epoch")
    family = psutil.Process(served.process.pid).children(recursive=True)
    began = time.monotonic()
    served.process.send_signal(signal.SIGINT)
    served.process.wait(timeout=60)
    assert time.monotonic() - began < 20
    assert not psutil.wait_procs(family, timeout=5)[1]
    said = (served.home / "schedule.log").read_text()
    assert "Unable to connect" not in said
    assert mlflow.get_run(run_id).info.status == "KILLED"


def with_training(config: dict[str, Any], **settings: int) -> Any:
    """The change of a deployment to other settings of the training."""
    from prefect.client.schemas.actions import DeploymentUpdate

    return DeploymentUpdate(parameters={"config": config | {"training": config["training"] | settings}})


def answered(ask: Callable[[], Any]) -> Any:
    """What a server says, or None while there is none."""
    try:
        return ask()
    except httpx.TransportError:
        return None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cron", "99 3 * * *"], '--cron "99 3 * * *" has 99 as its minute'),
        (["--cron", "0 3 * * *", "--timezone", "Mars"], '"Mars" is not a time zone'),
        (["--cron", "0 3 * * *", "--timezone", "Europe"], '"Europe" is not a time zone'),
        (["--interval", "soon"], "--interval soon is not a valid schedule"),
        (["--interval", "0"], "--interval 0 is not a valid schedule"),
        ([], "needs --cron or --interval"),
        (["--interval", "1h", "--cron", "0 3 * * *"], "Expected exactly one of them"),
        (["--interval", "1h"], "There is no Prefect server to keep the schedule. Add --server"),
    ],
)
def test_impossible_schedules_are_refused(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        answer = caller(tmp_path, migrated, monkeypatch)("schedule", write_job(tmp_path, person_table(20)), *words)
    assert answer.code == 2
    assert message in answer.err
    assert "\n" not in answer.err.strip()


def test_one_run_per_model_at_a_time(tmp_path: Path) -> None:
    from varjepa.config import RetrainConfig
    from varjepa.tasks.tracking.locks import model_lock

    def config(name: str) -> RetrainConfig:
        uri = f"sqlite:///{tmp_path}/mlflow.db"
        return RetrainConfig.model_validate(
            {"data": {"name": "sim"}, "registry": {"name": name}, "tracking": {"uri": uri}}
        )

    order, started = [], threading.Event()

    def second() -> None:
        started.set()
        with model_lock(config("a")):
            order.append("second")

    with (
        model_lock(config("a")) as mine,
        model_lock(config("b"), wait=False) as other,
        model_lock(config("a"), wait=False) as again,
    ):
        assert (mine, other, again) == (True, True, False)
        thread = threading.Thread(target=second)
        thread.start()
        started.wait()
        time.sleep(0.3)
        order.append("first")
    thread.join(timeout=30)
    assert order == ["first", "second"]
