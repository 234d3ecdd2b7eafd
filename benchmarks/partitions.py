"""The preprocessing step in partitions with two worker processes, compared with one process."""

import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import Figure, Timing, child
from benchmarks.preprocessing import LABEL, made_batch, make
from varjepa.config import DataSection, PreprocessSection, RetrainConfig
from varjepa.flows.cli import QUIET
from varjepa.tasks.orchestration.parallel_map import workers
from varjepa.tasks.retrain.preprocess import preprocess

ROWS = 10_000_000
WORKERS = 2
TURNS = 3


def run(rows: int = ROWS, turns: int = TURNS) -> list[Figure]:
    """Creates the table, preprocesses it in both ways in turns, deletes it."""
    seconds: dict[str, list[float]] = {"none": [], "processes": []}
    peaks = dict.fromkeys(seconds, 0.0)
    starts = []
    with TemporaryDirectory() as folder:
        make(Path(folder) / "table", made_batch, rows)
        for _ in range(turns):
            for runner, measured in seconds.items():
                peak, out = child("-m", "benchmarks.partitions", runner, str(Path(folder) / "table"), env=QUIET)
                told = json.loads(out.splitlines()[-1])
                measured.append(told["prepare"])
                peaks[runner] = max(peaks[runner], peak)
                starts += [told["start"]] if "start" in told else []
    alone, shared = (Timing(tuple(seconds[runner])) for runner in seconds)
    millions = f"{rows / 1e6:g} million rows"
    return [
        Figure(f"{millions}: rows/s of preprocessing, one process", rows / alone.median, "rows/s", alone.noise),
        Figure(f"... in partitions, {WORKERS} processes", rows / shared.median, "rows/s", shared.noise),
        Figure("the second over the first", alone.median / shared.median, "x", max(alone.noise, shared.noise)),
        Figure("of the second, starting the processes", Timing(tuple(starts)).median, "s"),
        Figure("peak memory, one process", peaks["none"], "GiB"),
        Figure("... of the largest of those that share", peaks["processes"], "GiB"),
    ]


def _prepare(runner: str, table: Path) -> dict[str, float]:
    from prefect import flow  # after our tasks, which see to it that nobody is called

    settings = PreprocessSection(runner=runner, workers=WORKERS)
    config = RetrainConfig(data=DataSection(path=str(table), label=LABEL), preprocess=settings)

    @flow
    def timed() -> dict[str, float]:
        started = time.perf_counter()
        preprocess(table, config)
        told = {"prepare": time.perf_counter() - started}
        if runner == "none":
            return told
        started = time.perf_counter()
        with workers(settings) as parallel_map:
            list(parallel_map(len, ["one", "two"]))
        return told | {"start": time.perf_counter() - started}

    with TemporaryDirectory(dir=table.parent) as home:
        os.chdir(home)
        return timed()


if __name__ == "__main__":
    print(json.dumps(_prepare(sys.argv[1], Path(sys.argv[2]) / "table.parquet")))
