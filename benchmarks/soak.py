"""Fifty small retrains in one served schedule with a retention policy: does anything grow?

    python -m benchmarks.soak [--runs 50] [--interval 20s] [--keep FOLDER]

Starts `varjepa schedule --server` in an empty folder (also for Prefect). Before each run the table changes, so that
every run trains a new model. After each run it records what the schedule, its server and their children hold: memory,
open files, threads; and what lies on disk: work folders, artifacts, both databases, versions, files. Growth is the
slope of a straight line through the second half of the runs. Prints a table, writes `results/soak.json`; ends with 1
where something grows by more than its bound.
"""

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
import yaml

from benchmarks.faults import SETTINGS
from benchmarks.harness import RESULTS, facts
from varjepa.config.durations import duration

ROOT = Path(__file__).parents[1]
ROWS = 400
RETENTION = {"keep": 5, "older": "2m"}
BOUNDS = {
    "memory": 0.5, "open_files": 0.1, "threads": 0.1, "processes": 0.1, "work": 0.1, "artifacts": 0.1, "tracking": 0.1,
    "prefect": 2.0, "versions": 0.05, "files": 3.0,
}  # fmt: skip
"""Allowed growth per run, in the unit of the figure; Prefect keeps events for a week."""

UNITS = {"memory": "MiB", "work": "MiB", "artifacts": "MiB", "tracking": "MiB", "prefect": "MiB"}


@dataclass(frozen=True)
class Sample:
    """What is held after a run.

    Attributes:
        run: its number.
        seconds: since the start of the study.
        memory: resident memory of the schedule and its servers between runs, MiB.
        open_files: of them.
        threads: of them.
        processes: of them.
        work: MiB of intermediate results.
        artifacts: MiB.
        tracking: MiB of MLflow's database.
        prefect: MiB of Prefect's folder.
        versions: registered ones.
        files: in the folder of the schedule.
    """

    run: int
    seconds: float
    memory: float
    open_files: int
    threads: int
    processes: int
    work: float
    artifacts: float
    tracking: float
    prefect: float
    versions: int
    files: int


def study(folder: Path, runs: int, interval: str) -> list[Sample]:
    """The samples after each run."""
    write_table(folder, 0)
    content = {"data": {"path": "people.csv", "label": "rich"}, "registry": {"name": "people"}, "retention": RETENTION}
    (folder / "job.yaml").write_text(yaml.safe_dump(content | SETTINGS), encoding="utf-8")
    samples, began = [], time.monotonic()
    with schedule(folder, interval) as process:
        for number in range(1, runs + 1):
            wait_for(folder, number, process)
            samples.append(sample(folder, process, number, time.monotonic() - began))
            write_table(folder, number)
            print(samples[-1], flush=True)
    return samples


def write_table(folder: Path, seed: int) -> None:
    """Replaces the table by another one, in one step."""
    generator = np.random.default_rng(seed)
    age, job = generator.integers(18, 90, ROWS), generator.choice(["clerk", "smith", "nurse"], ROWS)
    income = np.exp(generator.normal(8, 1, ROWS)).round(2)
    rich = np.where(age + 20 * (job == "nurse") + generator.normal(0, 10, ROWS) > 60, "yes", "no")
    lines = [f"{a},{j},{i},{r}" for a, j, i, r in zip(age, job, income, rich, strict=True)]
    unfinished = folder / "people.part"
    unfinished.write_text("\n".join(["age,job,income,rich", *lines]) + "\n", encoding="utf-8")
    unfinished.replace(folder / "people.csv")


@contextmanager
def schedule(folder: Path, interval: str) -> Iterator[psutil.Process]:
    """The served schedule, with a server and a home of its own."""
    port = free_port()
    words = [sys.executable, "-m", "varjepa.flows.cli", "schedule", "job.yaml", "--interval", interval, "--server",
             "--port", str(port)]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    environment |= {"PREFECT_HOME": str(folder / "prefect"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / "schedule.log").open("w", encoding="utf-8") as log:
        child = subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(timeout=120)


def free_port() -> int:
    """A port of this machine that nobody uses."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(folder: Path, versions: int, process: psutil.Process, seconds: float = 600) -> None:
    """Waits until this many versions have been registered in all, and the process of the last run has ended.

    Raises:
        RuntimeError: the schedule has ended, or no version came.
    """
    database, until = folder / "mlruns" / "mlflow.db", time.monotonic() + seconds
    while time.monotonic() < until:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError(f"the schedule has ended:\n{(folder / 'schedule.log').read_text()[-3000:]}")
        if database.exists() and newest(database) >= versions and not runs_in(process):
            return
        time.sleep(0.5)
    raise RuntimeError(f"version {versions} did not come:\n{(folder / 'schedule.log').read_text()[-3000:]}")


def newest(database: Path) -> int:
    """Number of the newest version ever registered."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            return connection.execute("SELECT COALESCE(MAX(version), 0) FROM model_versions").fetchone()[0]
        except sqlite3.OperationalError:  # not migrated yet
            return 0


def runs_in(process: psutil.Process) -> list[psutil.Process]:
    """Processes of flow runs: Prefect starts one for each."""
    found = []
    for child in process.children(recursive=True):
        try:
            words = " ".join(child.cmdline())
            if "prefect.flow_engine" in words or "multiprocessing.spawn" in words:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def sample(folder: Path, process: psutil.Process, number: int, seconds: float) -> Sample:
    """What is held now."""
    family = [process, *process.children(recursive=True)]
    held = [(one.memory_info().rss, one.num_fds(), one.num_threads()) for one in family if one.is_running()]
    memory, files, threads = (sum(values) for values in zip(*held, strict=True))
    with closing(sqlite3.connect(f"file:{folder}/mlruns/mlflow.db?mode=ro", uri=True, timeout=30)) as connection:
        versions = connection.execute("SELECT COUNT(*) FROM model_versions WHERE current_stage != 'Deleted_Internal'")
        kept = versions.fetchone()[0]
    mlruns = folder / "mlruns"
    return Sample(
        run=number, seconds=round(seconds, 1), memory=memory / 2**20, open_files=files, threads=threads,
        processes=len(held), work=size(mlruns / "work"), artifacts=size(mlruns / "artifacts"),
        tracking=size(mlruns / "mlflow.db"), prefect=size(folder / "prefect"), versions=kept,
        files=sum(path.is_file() for path in folder.rglob("*")),
    )  # fmt: skip


def size(path: Path) -> float:
    """MiB of a file or of all files in a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / 2**20


def growth(samples: list[Sample], name: str) -> float:
    """Growth of a figure per run: the slope of a line through the second half of the runs."""
    half = samples[len(samples) // 2 :]
    return float(np.polyfit([one.run for one in half], [getattr(one, name) for one in half], 1)[0])


def main() -> None:
    """Runs the study, prints and stores its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--interval", default="20s")
    parser.add_argument("--keep", type=Path, help="folder to work in, which stays")
    options = parser.parse_args()
    duration(options.interval)
    folder = (options.keep or Path(tempfile.mkdtemp(prefix="soak-"))).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    samples = study(folder, options.runs, options.interval)
    slopes = {name: growth(samples, name) for name in BOUNDS}
    for name, slope in slopes.items():
        first, last = (getattr(samples[at], name) for at in (len(samples) // 2, -1))
        unit = UNITS.get(name, "")
        print(f"{name:12s} {first:9.1f} -> {last:9.1f} {unit:4s} {slope:+.3f} a run (bound {BOUNDS[name]})")
    content = {
        "facts": facts(), "runs": options.runs, "interval": options.interval, "rows": ROWS, "retention": RETENTION,
        "growth_per_run": slopes, "bounds": BOUNDS, "samples": [asdict(one) for one in samples],
    }  # fmt: skip
    (RESULTS / "soak.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.exit(any(slope > BOUNDS[name] for name, slope in slopes.items()))


if __name__ == "__main__":
    main()
