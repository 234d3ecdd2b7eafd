"""A machine that is lost in the middle of a training: another one goes on with the same run, to the same model."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.flows.conftest import person_table, write_job
from tests.store_servers import BUCKET, S3

ROOT = str(Path(__file__).parents[2])
EPOCHS = 40
RETRAIN = [sys.executable, "-m", "varjepa.flows.cli", "retrain"]


@dataclass(frozen=True)
class Machine:
    """A working folder, a home and a host name of its own.

    Attributes:
        home: its folder.
        job: the config, which every machine has.
        variables: of the environment, besides those of this process.
    """

    home: Path
    job: Path
    variables: dict[str, str]

    def started(self, *words: str) -> "subprocess.Popen[str]":
        """The retrain, on its way."""
        self.home.mkdir(parents=True, exist_ok=True)
        own = {"HOME": str(self.home), "PYTHONPATH": ROOT, "PREFECT_SERVER_EPHEMERAL_ENABLED": "false"}
        return subprocess.Popen(
            [*named(self.home.name), *RETRAIN, str(self.job), "--json", *words], cwd=self.home, text=True,
            env=os.environ | own | self.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def answer(self, *words: str) -> tuple[dict[str, Any], str]:
        """What the retrain answers, and what it says meanwhile."""
        process = self.started(*words)
        out, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        return json.loads(out.strip().splitlines()[-1]), said

    def lose(self, process: "subprocess.Popen[str]") -> None:
        """Ends everything on the machine at once, and its folder with it."""
        everything = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for one in everything:
            one.kill()
        process.communicate()
        shutil.rmtree(self.home)

    def weights(self) -> bytes:
        """The trained network, byte for byte."""
        (file,) = self.home.glob("mlruns/work/pretrain-*/network.safetensors")
        return file.read_bytes()


def named(host: str) -> list[str]:
    """Words before a command that give it a host name of its own, where this machine permits it."""
    permitted = (
        shutil.which("unshare") and subprocess.run(["unshare", "--uts", "true"], capture_output=True).returncode == 0
    )
    return ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host] if permitted else []


def wait_for(ready: Callable[[], Any], process: "subprocess.Popen[str]") -> Any:
    """Waits while the process runs."""
    deadline = time.monotonic() + 120
    while not (found := ready()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    training = {"max_epochs": EPOCHS, "patience": EPOCHS}
    work = {"lost_after": 3.0, "checkpoint_seconds": 0.0}
    return write_job(tmp_path_factory.mktemp("job"), person_table(600), data={"label": "rich"}, training=training,
                     work=work)  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(job: Path, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine that has made the model alone, without a work store."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "mlflow.db").write_bytes(migrated.read_bytes())
    machine = Machine(folder / "alone", job, {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"})
    machine.answer()
    yield machine


def test_another_machine_goes_on_with_the_run_of_a_lost_one(
    s3: S3, job: Path, undisturbed: Machine, migrated: Path, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    (tmp_path / "mlflow.db").write_bytes(migrated.read_bytes())
    variables = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "VARJEPA_WORK_URI": f"s3://{BUCKET}/lost"}
    one, two = (Machine(tmp_path / name, job, variables) for name in ("one", "two"))
    process = one.started()
    wait_for(lambda: [key for key in s3.keys("lost/partial/pretrain-") if key.endswith("checkpoint.pt")], process)
    client = MlflowClient(variables["MLFLOW_TRACKING_URI"])
    (run,) = wait_for(lambda: client.search_runs(["1"], "attributes.status = 'RUNNING'"), process)
    one.lose(process)
    before = len(client.get_metric_history(run.info.run_id, "train/elbo"))
    assert before < EPOCHS

    answer, said = two.answer()
    assert answer["run_id"] == run.info.run_id
    assert "going on from checkpoint.pt, which another machine has left" in said
    for step in ("ingest", "validate", "preprocess"):
        assert (f"{step}: made before, fetched" in said, f"{step} starts" in said) == (True, False)
    assert two.weights() == undisturbed.weights()
    points = client.get_metric_history(run.info.run_id, "train/elbo")
    assert [point.step for point in points] == list(range(1, EPOCHS + 1))
    assert not [key for key in s3.keys("lost/") if key.startswith(("lost/partial", "lost/clock"))]
