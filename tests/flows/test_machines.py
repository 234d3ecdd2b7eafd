"""A machine that is lost in the middle of a training: another one goes on with the same run, to the same model."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.flows.conftest import person_table, pretrained_of, write_job
from tests.forked import Forks, Running, Start
from tests.hosts import Host, may_unshare, switched
from tests.store_servers import BUCKET

EPOCHS = 25

JOBS = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"
"""Variable of MLflow's server, which would start ten more processes."""

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Machine:
    """A host with a working folder and a home of its own.

    Attributes:
        host: the host.
        forks: starts its processes.
        home: its folder.
        job: the config, which every machine has.
        variables: of the environment, besides those of this process.
    """

    host: Host
    forks: Forks
    home: Path
    job: Path
    variables: dict[str, str]

    def started(self, *more: str) -> Running:
        """The retrain, on its way."""
        return self.runs("retrain", str(self.job), "--dry-run", "--json", *more)

    def runs(self, *words: str) -> Running:
        """A command, on its way."""
        self.home.mkdir(parents=True, exist_ok=True)
        # Without a record by Prefect, whose temporary server takes as long as everything else here.
        own = {"HOME": str(self.home), "PREFECT_SERVER_EPHEMERAL_ENABLED": "false"}
        name = self.host.name if may_unshare() else None
        variables = os.environ | own | self.variables
        return self.forks.start(Start(words, str(self.home), variables, host=name, space=self.host.space))

    def answer(self) -> tuple[dict[str, Any], str]:
        """What the retrain answers, and what it says meanwhile."""
        return answered(self.started())

    def lose(self, process: Running) -> None:
        """Ends everything on the machine at once, and its folder with it."""
        for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            one.kill()
        process.wait()
        shutil.rmtree(self.home)


def answered(process: Running) -> tuple[dict[str, Any], str]:
    """What a command answers, and what it says meanwhile."""
    said = process.said(timeout=240)
    assert said.code == 0, said.err
    return json.loads(said.out.strip().splitlines()[-1]), said.err


def weights(home: Path) -> bytes:
    """The trained network, byte for byte."""
    (file,) = home.glob("mlruns/work/pretrain-*/network.safetensors")
    return file.read_bytes()


def curve(home: Path) -> list[float]:
    """The loss of each epoch."""
    (file,) = home.glob("mlruns/work/pretrain-*/history.json")
    return [epoch["train/elbo"] for epoch in json.loads(file.read_text())]


def checkpoint(home: Path) -> int:
    """When the last epoch was kept, in nanoseconds; 0 before the first."""
    return max((file.stat().st_mtime_ns for file in home.glob("mlruns/work/pretrain-*/checkpoint.pt")), default=0)


def wait_for(ready: Callable[[], Any], process: Running) -> Any:
    """Waits while the process runs."""
    deadline = time.monotonic() + 120
    while not (found := ready()):
        assert process.poll() is None, process.said()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    training, work = {"max_epochs": EPOCHS, "patience": EPOCHS}, {"lost_after": 3.0, "checkpoint_seconds": 0.0}
    folder = tmp_path_factory.mktemp("job")
    return write_job(folder, person_table(300), training=training, generator={"n_layers": 0}, work=work)


@pytest.fixture(scope="module")
def undisturbed(job: Path, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a training without an interruption and without a work store, by the steps themselves."""
    from varjepa.config import load_config
    from varjepa.tasks.tracking.runs import opened_run

    home = tmp_path_factory.mktemp("alone")
    (home / "mlflow.db").write_bytes(migrated.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        config = load_config(job, [f"tracking.uri=sqlite:///{home}/mlflow.db"])
        with opened_run(config.tracking, command="retrain", name="people") as run_id:
            pretrained_of(config, run_id)
        return home


@contextmanager
def folders(migrated: Path, tmp_path: Path) -> Iterator[tuple[list[Host], dict[str, str]]]:
    """Two machines that share the network of this one, and a SQLite file."""
    (tmp_path / "mlflow.db").write_bytes(migrated.read_bytes())
    yield [Host("one"), Host("two")], {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}


@contextmanager
def namespaces(migrated: Path, tmp_path: Path) -> Iterator[tuple[list[Host], dict[str, str]]]:
    """Two machines with addresses of their own; a third has the store and the tracking server. No folder is shared."""
    from varjepa.tasks.processes.child import Child

    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "mlflow.db").write_bytes(migrated.read_bytes())
    with switched("hub", "one", "two") as (hub, one, two), ExitStack() as running:
        python = [sys.executable, "-m"]
        store = [*python, "moto.server", "-H", hub.address, "-p", "9000"]
        tracking = [*python, "mlflow", "server", "--host", hub.address, "--port", "5000", "--workers", "1",
                    "--backend-store-uri", f"sqlite:///{tmp_path}/hub/mlflow.db", "--serve-artifacts",
                    "--artifacts-destination", str(tmp_path / "hub" / "artifacts"),
                    "--allowed-hosts", "*"]  # fmt: skip
        for name, words in (("S3", store), ("MLflow", tracking)):
            log = tmp_path / "hub" / f"{name}.log"
            running.enter_context(Child(name, hub.words(*words), log, environment={JOBS: "false"}))
        create = "import boto3, sys; boto3.client('s3').create_bucket(Bucket=sys.argv[1])"
        variables = {
            "MLFLOW_TRACKING_URI": f"http://{hub.address}:5000",
            "AWS_ENDPOINT_URL": f"http://{hub.address}:9000",
        }
        for address in (f"{hub.address}:9000", f"{hub.address}:5000"):
            reached(one, address)
        made = one.words(sys.executable, "-c", create, BUCKET)
        subprocess.run(made, env=os.environ | variables, check=True, capture_output=True)
        yield [one, two], variables


@pytest.mark.usefixtures("s3")
def test_two_machines_train_together_and_lost_ones_are_replaced(
    forks: Forks, job: Path, undisturbed: Path, migrated: Path, tmp_path: Path
) -> None:
    with namespaces(migrated, tmp_path) as (hosts, variables):
        store = f"s3://{BUCKET}/{tmp_path.name}"
        variables |= {"VARJEPA_WORK_URI": store}
        one, two = (Machine(host, forks, tmp_path / host.name, job, variables) for host in hosts)
        killed = two.runs("join", store)
        leading = one.started("--set", "work.machines=2")
        first = wait_for(lambda: checkpoint(one.home), leading)
        two.lose(killed)
        unreachable = two.runs("join", store)
        wait_for(lambda: checkpoint(one.home) > first, leading)
        with two.host.cut_off():
            # Its processes end before it is back: their connections are never closed.
            time.sleep(5)
            two.lose(unreachable)
        joined, _ = answered(two.runs("join", store, "--once", "--json"))
        answer, said = answered(leading)
        runs = told(tmp_path / "hub" / "mlflow.db")
        assert said.count("machines that train: 2 of 2") == 3
        assert said.count("a machine was lost in the middle of the training") == 2
        assert [each["machines"] for each in joined["joined"]] == [2]
        assert list(two.home.glob("mlruns/work/join-*")) == []
    assert [(run["run_id"], run["epochs"]) for run in runs] == [(answer["run_id"], list(range(1, EPOCHS + 1)))]
    assert curve(one.home) == pytest.approx(curve(undisturbed), rel=1e-3)


REACHES = """
import socket, sys, time
end = time.monotonic() + 90
while True:
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)
        break
    except OSError:
        if time.monotonic() > end:
            raise
        time.sleep(0.3)
"""


def reached(host: Host, address: str) -> None:
    """Waits until a server answers a host, in a single process: its start takes longer than a look."""
    words = host.words(sys.executable, "-c", REACHES, *address.split(":"))
    subprocess.run(words, check=True, capture_output=True)


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("network", [folders, namespaces])
def test_another_machine_goes_on_with_the_run_of_a_lost_one(
    network: Any, forks: Forks, *, job: Path, undisturbed: Path, migrated: Path, tmp_path: Path
) -> None:
    with network(migrated, tmp_path) as (hosts, variables):
        variables |= {"VARJEPA_WORK_URI": f"s3://{BUCKET}/{tmp_path.name}"}
        one, two = (Machine(host, forks, tmp_path / host.name, job, variables) for host in hosts)
        process = one.started()
        # Epochs that the store knows of; the next machine may have to make none of them again.
        wait_for(lambda: len(list(one.home.glob("mlruns/work/pretrain-*/checkpoint.pt"))), process)
        time.sleep(0.5)
        assert not list(one.home.glob("mlruns/work/pretrain-*/result.json"))
        one.lose(process)

        answer, said = two.answer()
        assert "going on from checkpoint.pt, which another machine has left" in said
        assert "resuming the run" in said
        for step in ("ingest", "validate", "preprocess"):
            assert (f"{step}: made before, fetched" in said, f"{step} starts" in said) == (True, False), step
        assert weights(two.home) == weights(undisturbed)
        (store,) = tmp_path.glob("**/mlflow.db")
        runs = told(store)
    assert [(run["status"], run["run_id"]) for run in runs] == [("FINISHED", answer["run_id"])]
    assert runs[0]["epochs"] == list(range(1, EPOCHS + 1))
    assert runs[0]["host"] == hosts[1].name or not may_unshare()


def told(store: Path) -> list[dict[str, Any]]:
    """What a tracking store holds of all runs. It is read here: a host of its own would import MLflow first."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{store}")
    return [
        {"run_id": run.info.run_id, "status": run.info.status, "host": run.data.tags["varjepa.host"],
         "epochs": [point.step for point in client.get_metric_history(run.info.run_id, "train/elbo")]}
        for run in client.search_runs(["1"])
    ]  # fmt: skip
