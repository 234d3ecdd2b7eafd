"""Preprocessing and scoring by two Dask workers, over one: `python -m benchmarks.hosts [--rows N --uri URI]`.

Each worker has a working folder and a core of its own. Preprocessing reaches rows and results through a work store
alone; without --uri that is a folder of this machine. The workers run here; on machines of your own, start
`dask worker` there. Client and scheduler share the cores of the workers: all processes have as many cores as there are
workers.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import polars as pl
from distributed import Client

from benchmarks.harness import RESULTS, Figure, publish
from benchmarks.preprocessing import LABEL, made_batch, make
from benchmarks.scoring import TINY
from varjepa.config import DataSection, PreprocessSection, RetrainConfig
from varjepa.config.operations import WorkSection
from varjepa.data.read.sources import ROW
from varjepa.flows.score import score_files
from varjepa.inference.estimator import VarTJEPA
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.orchestration.runners import shared_server
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.preprocess import preprocess
from varjepa.tasks.steps.orchestrated import without_orchestration
from varjepa.tasks.steps.reuse import afresh
from varjepa.tasks.work_store.opened import shared_work

ROWS = 20_000_000
PARTITIONS = 20
SCORED = 20
"""Files that are scored, a 200th of the table each."""

WORKERS = (1, 2)


class Measured(NamedTuple):
    """What a cluster took.

    Attributes:
        prepared: seconds of preprocessing.
        scored: seconds of scoring.
        peak: largest peak memory of a worker, GiB.
    """

    prepared: float
    scored: float
    peak: float


def run(rows: int, uri: str | None) -> list[Figure]:
    """Makes the table, prepares it and scores a part of it with one worker and with two, deletes it."""
    found: dict[int, Measured] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "made", made_batch, rows)
        table = folder / "table.parquet"
        pl.scan_parquet(folder / "made" / "table.parquet").drop(ROW).sink_parquet(table, maintain_order=True)
        part = rows // 200
        _write_files(table, folder / "small", rows=100)
        _write_files(table, folder / "files", rows=part)
        model = VarTJEPA({"model": TINY, "training": {"max_epochs": 1}, "generator": {"n_layers": 0}})
        model.fit(pl.read_parquet(table, n_rows=5_000).drop(LABEL)).save(folder / "model")
        os.chdir(folder)
        with shared_work(WorkSection(uri=uri or f"file://{folder}/store")):
            for workers in WORKERS:
                with cluster(folder / f"hosts{workers}", workers) as address:
                    _scored(folder, "small", address)  # imports
                    seconds = _prepared(table, address, rows)
                    scored = _scored(folder, "files", address)
                    with Client(address) as client:
                        found[workers] = Measured(seconds, scored, max(client.run(_peak).values()))
    millions = f"{rows / 1e6:g} million rows"
    asked = "at least 1.6, with a core for each"
    one, two = (found[workers] for workers in WORKERS)
    return [
        Figure(f"{millions}: rows/s of preprocessing, one worker", rows / one.prepared, "rows/s"),
        Figure("... two workers that share no folder", rows / two.prepared, "rows/s"),
        Figure("the second over the first", one.prepared / two.prepared, "x", asked=asked),
        Figure(f"{SCORED} files of {part:,} rows: rows/s of scoring, one worker", SCORED * part / one.scored, "rows/s"),
        Figure("... two workers", SCORED * part / two.scored, "rows/s"),
        Figure("the second over the first", one.scored / two.scored, "x", asked=asked),
        Figure("peak memory of a worker, of one", one.peak, "GiB"),
        Figure("... of two", two.peak, "GiB"),
    ]


def _write_files(table: Path, folder: Path, *, rows: int) -> None:
    folder.mkdir()
    for number in range(SCORED):
        file = folder / f"{number:02}.parquet"
        pl.scan_parquet(table).slice(number * rows, rows).drop(LABEL).sink_parquet(file)


def _scored(folder: Path, files: str, address: str) -> float:
    """Seconds of scoring all files."""
    options = {"tracking_uri": None, "device": "cpu", "precision": "float32", "batch_size": 0, "force": True}
    return score_files(
        str(folder / "model"), str(folder / files), str(folder / f"scores of {files}"), ("uncertainty",), (),
        runner="dask", workers=0, dask_address=address, options=options,
    )["seconds"]  # fmt: skip


def _prepared(table: Path, address: str, rows: int) -> float:
    """Seconds of preprocessing."""
    settings = PreprocessSection(runner="dask", dask_address=address, partition_rows=-(-rows // PARTITIONS))
    config = RetrainConfig(data=DataSection(path=str(table), label=LABEL), preprocess=settings)
    clean = ingest.fn(config).path

    @flow(name="hosts")
    def timed() -> float:
        with shared_server("processes", None):  # the workers are on this machine, too
            started = time.perf_counter()
            preprocess(clean, config)
            if without_orchestration():  # the steps have run in this process
                name = "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
                raise RuntimeError(f"Prefect's server did not start in time: set {name}")
            return time.perf_counter() - started

    with afresh():
        return timed()


def _peak() -> float:
    # `ru_maxrss` of a new process begins with what the process that started it had in memory.
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 2**20


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """The address of a scheduler with workers, each with a folder, one thread and, if there are enough, a core."""
    common = [*("--scheduler-file", str(folder / "scheduler.json")), "--no-dashboard", "--host", "127.0.0.1"]
    worker = ["worker", *common, "--nthreads", "1", "--no-nanny"]
    commands = [["scheduler", *common, "--port", "0"], *[worker] * workers]
    all_cores = sorted(os.sched_getaffinity(0))
    cores = all_cores[:workers]
    with ExitStack() as running:
        _confine(cores)
        running.callback(_confine, all_cores)
        for number, options in enumerate(commands):
            place = folder / str(number)
            place.mkdir(parents=True)
            env = os.environ | {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "HOME": str(place)}
            log = running.enter_context((place / "log").open("w"))
            words = [sys.executable, "-m", "dask", *options]
            process = subprocess.Popen(words, cwd=place, env=env, stdout=log, stderr=log)
            running.callback(process.wait)
            running.callback(process.kill)
            os.sched_setaffinity(process.pid, {cores[number % len(cores)]} if number else set(cores))
        with Client(scheduler_file=str(folder / "scheduler.json"), timeout=120) as client:
            client.wait_for_workers(workers)
            address = client.scheduler.address
        yield address


def _confine(cores: list[int]) -> None:
    """Lets all threads of this process use these cores alone, and what they start."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def main() -> None:
    """Parses the arguments, and measures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hosts", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--uri", help="work store (default: a folder of this machine)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    words = parser.parse_args()
    out = words.out.resolve()
    publish("hosts", run(words.rows, words.uri), out, command=f"python -m benchmarks.hosts --rows {words.rows}")


if __name__ == "__main__":
    main()
