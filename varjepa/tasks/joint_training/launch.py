"""Starts the processes of this machine that train together with each other and with those of other machines."""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from varjepa.config import RetrainConfig
from varjepa.errors import VarjepaError
from varjepa.machine import cores
from varjepa.tasks.joint_training.network import interface_to
from varjepa.tasks.processes.bound import end_all, start_bound
from varjepa.tasks.steps.files import write_text

JOB, TRAINED, FAILURE, FINISHED = "job.json", "trained.json", "failure.txt", "finished"
"""Files of a training by several processes: its input, its result, the message of a failure, and, on every machine, a
mark that the result is written."""

LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Job:
    """Input of a training process in addition to the configuration.

    Attributes:
        encoded: Parquet file of `Prepared`.
        preprocessor: JSON file of `Prepared`.
        folder: of the step.
        run_id: tracking run of the curves.
    """

    encoded: Path
    preprocessor: Path
    folder: Path
    run_id: str


class Machines(NamedTuple):
    """Where a machine stands among those that train together.

    Attributes:
        size: number of all machines.
        rank: of this one; 0 leads.
        address: of the leading machine, for the others.
        port: there.
    """

    size: int
    rank: int
    address: str
    port: int


def run_processes(
    job: Job, config: RetrainConfig, machines: Machines | None = None, still: Callable[[], bool] = lambda: True
) -> int:
    """Runs the training processes of this machine, `training.devices` of them, and returns the launcher's exit code.

    Args:
        job: what they train.
        config: of the job.
        machines: None if this one is alone.
        still: asked ten times a second; the processes are killed once it says no.
    """
    for name in (FAILURE, TRAINED, FINISHED):
        (job.folder / name).unlink(missing_ok=True)
    content = {"job": asdict(job), "config": config.model_dump(mode="json")}
    write_text(job.folder / JOB, json.dumps(content, default=str))
    command = [sys.executable, "-m", "torch.distributed.run", *_place(machines),
               f"--nproc-per-node={config.training.devices}", "-m", "varjepa.tasks.retrain.worker",
               str(job.folder / JOB)]  # fmt: skip
    with start_bound(command, env=_environment(config.training.devices, machines)) as launcher:
        try:
            while launcher.poll() is None:
                time.sleep(LOOK_SECONDS)
                if not still():
                    end_all(launcher.pid)
            return launcher.wait()
        except BaseException:
            end_all(launcher.pid)
            raise


def require_success(code: int, job: Job, config: RetrainConfig) -> None:
    """Checks how the processes of the leading machine have ended: what counts is that the result is written.

    Raises:
        VarjepaError: the message of the leading process, or that one of the processes failed.
    """
    failure = job.folder / FAILURE
    if failure.is_file():
        raise VarjepaError(failure.read_text(encoding="utf-8"))
    if not (job.folder / TRAINED).is_file():
        processes = config.training.devices
        raise VarjepaError(f"One of {processes} training processes exited with {code}; see its output above.")


def _place(machines: Machines | None) -> list[str]:
    if machines is None:
        return ["--standalone"]
    return [f"--nnodes={machines.size}", f"--node-rank={machines.rank}", f"--master-addr={machines.address}",
            f"--master-port={machines.port}"]  # fmt: skip


def _environment(processes: int, machines: Machines | None) -> dict[str, str]:
    # Cores are shared evenly; otherwise every process would start a thread per core.
    threads = max(1, cores() // processes)
    # The workers find the same modules as this process, wherever they were imported from.
    env = {"OMP_NUM_THREADS": str(threads)} | os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if sys.platform == "linux":
        # The machine's own name need not resolve.
        interface = "lo" if machines is None else interface_to(machines.address, machines.port)
        if interface is not None:
            env.setdefault("GLOO_SOCKET_IFNAME", interface)
            env.setdefault("NCCL_SOCKET_IFNAME", interface)
    return env
