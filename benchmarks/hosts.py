"""Preprocessing by two Dask workers that share no folder, over one: `python -m benchmarks.hosts [--rows N --uri URI]`.

Each worker has a working folder and a core of its own, and reaches rows and results through a work store alone. Without
--uri the store is a folder of this machine. The workers run here; on machines of your own, start `dask worker` there.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from distributed import Client

from benchmarks.harness import RESULTS, Figure, publish
from benchmarks.preprocessing import LABEL, made_batch, make
from varjepa.config import DataSection, PreprocessSection, RetrainConfig
from varjepa.config.operations import WorkSection
from varjepa.data.read.sources import ROW
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.orchestration.runners import shared_server
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.preprocess import preprocess
from varjepa.tasks.steps.orchestrated import without_orchestration
from varjepa.tasks.steps.reuse import afresh
from varjepa.tasks.work_store.opened import shared_work

ROWS = 20_000_000
PARTITIONS = 20


def run(rows: int, uri: str | None) -> list[Figure]:
    """Makes the table, prepares it with one worker and with two, deletes it."""
    seconds: dict[int, float] = {}
    peaks: dict[int, float] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "made", made_batch, rows)
        table = folder / "table.parquet"
        pl.scan_parquet(folder / "made" / "table.parquet").drop(ROW).sink_parquet(table, maintain_order=True)
        os.chdir(folder)
        with shared_work(WorkSection(uri=uri or f"file://{folder}/store")):
            for workers in (1, 2):
                with cluster(folder / f"hosts{workers}", workers) as address:
                    seconds[workers], peaks[workers] = _prepared(table, address, rows)
    millions = f"{rows / 1e6:g} million rows"
    return [
        Figure(f"{millions}: rows/s of preprocessing, one worker", rows / seconds[1], "rows/s"),
        Figure("... two workers that share no folder", rows / seconds[2], "rows/s"),
        Figure("the second over the first", seconds[1] / seconds[2], "x", asked="at least 1.6, with a core for each"),
        Figure("peak memory of a worker, of one", peaks[1], "GiB"),
        Figure("... of two", peaks[2], "GiB"),
    ]


def _prepared(table: Path, address: str, rows: int) -> tuple[float, float]:
    """Seconds of preprocessing without starting, and the largest peak memory of a worker in GiB."""
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
        seconds = timed()
    with Client(address) as client:
        return seconds, max(client.run(_peak).values())


def _peak() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """The address of a scheduler with workers, each with a folder, one thread and, if there are enough, a core."""
    common = [*("--scheduler-file", str(folder / "scheduler.json")), "--no-dashboard", "--host", "127.0.0.1"]
    worker = ["worker", *common, "--nthreads", "1", "--no-nanny"]
    commands = [["scheduler", *common, "--port", "0"], *[worker] * workers]
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as running:
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
