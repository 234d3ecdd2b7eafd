"""Rows of a Parquet file in partitions: where they are, what is done with one of them, and who does it."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.runners import at_home, shared_server, task_runner
from tasks.steps import may_help
from varjepa.config import PreprocessSection, SplitSection

if TYPE_CHECKING:
    import numpy as np
    from polars import LazyFrame

    from varjepa.data.preprocess import Preprocessor
    from varjepa.data.ranges import Everywhere

THREADS = "POLARS_MAX_THREADS"

MOST_AT_ONCE = 8
"""Partitions of a task, whose results are held together."""

_A = TypeVar("_A")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Partition:
    """Some rows of a Parquet file.

    Attributes:
        clean: Parquet file of all rows.
        parts: Parquet file with the part of each.
        start: first row.
        rows: number of rows.
    """

    clean: Path
    parts: Path
    start: int
    rows: int

    def raw(self) -> "LazyFrame":
        """The rows, unread."""
        import polars as pl

        return pl.scan_parquet(self.clean).slice(self.start, self.rows)

    def marked(self) -> "LazyFrame":
        """The rows with their part as one more column, unread."""
        import polars as pl

        parts = pl.scan_parquet(self.parts).slice(self.start, self.rows)
        return pl.concat([self.raw(), parts], how="horizontal")


def partitions_of(clean: Path, parts: Path, rows: int) -> list[Partition]:
    """Partitions of about so many rows: whole row groups of the file, or pieces of larger ones."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(clean) as file:
        groups = [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)]
    partitions, start, held = [], 0, 0
    for group in groups:
        if held and held + group > rows:
            partitions.append(Partition(clean, parts, start, held))
            start, held = start + held, 0
        held += group
        while held > rows:
            partitions.append(Partition(clean, parts, start, rows))
            start, held = start + rows, held - rows
    return [*partitions, Partition(clean, parts, start, held)] if held else partitions


def hashed_codes(partition: Partition, split: SplitSection) -> "np.ndarray":
    """See `varjepa.data.splits.hashed_codes`."""
    from varjepa.data import splits

    return splits.hashed_codes(partition.raw(), split)


def training_rows(partition: Partition, seen: str) -> "LazyFrame":
    """The rows that preprocessing may look at, without columns of ours."""
    return learned_from(partition.marked(), seen)


def learned_from(marked: "LazyFrame", seen: str) -> "LazyFrame":
    """The same of rows that say their part."""
    import polars as pl

    from varjepa.data.sources import ROW
    from varjepa.data.splits import PART

    return (marked if seen == "all" else marked.filter(pl.col(PART) == "train")).drop(ROW, PART)


def write_encoded(marked: "LazyFrame", preprocessor: "Preprocessor", path: Path) -> None:
    """Encodes rows into a Parquet file, in bounded memory."""
    from varjepa.data.sources import ROW
    from varjepa.data.splits import PART

    encoded = preprocessor.encode(marked, keep=(ROW, PART), with_label=True)
    # Floats of 32 bits hardly get smaller, and slower compression takes longer than all the rest.
    encoded.sink_parquet(path, maintain_order=True, compression="snappy")


def encode(partition: Partition, preprocessor: Path, folder: Path) -> None:
    """Encodes a partition into a file of `folder` that is named for its first row; in one move, and once."""
    path = folder / f"{partition.start:015}.parquet"
    if not path.is_file():
        # A cluster may call a task again while it believes a worker lost.
        beside = folder.with_name(f"{folder.name}-{uuid4().hex}")
        write_encoded(partition.marked(), _opened(preprocessor, preprocessor.stat().st_mtime_ns), beside)
        beside.replace(path)


@lru_cache(maxsize=4)
def _opened(path: Path, _changed: int) -> "Preprocessor":
    from varjepa.data.preprocess import Preprocessor

    return Preprocessor.model_validate_json(path.read_text(encoding="utf-8"))


@task(name="partitions", task_run_name="{what}", retries=1, retry_condition_fn=may_help, cache_policy=NO_CACHE)
def call(function: Callable[[Any], Any], things: list[Any], what: str) -> list[Any]:  # noqa: ARG001 (for the name)
    """Calls the function with one thing after the other."""
    return [function(thing) for thing in things]


@contextmanager
def workers(settings: PreprocessSection) -> Iterator["Everywhere"]:
    """What calls functions where `preprocess.runner` says; they and what they are called with are pickled for it.

    Raises:
        SetupError: Dask is not installed.
    """
    count = settings.workers or os.cpu_count() or 1
    where = settings.runner, settings.dask_address
    cores = _shared_cores(count) if at_home(*where) else nullcontext()
    with cores, shared_server(*where), task_runner(settings.runner, count, settings.dask_address) as runner:
        yield partial(_everywhere, runner, _slots(runner, count))


def _everywhere(
    runner: Any, slots: int, function: Callable[[_A], _R], things: Iterable[_A]
) -> Iterator[_R]:  # fmt: skip
    name, every = getattr(function, "func", function).__name__, list(things)
    futures: deque[Any] = deque()
    for low, high in shares(len(every), slots):
        which = f"{low + 1} to {high}" if high > low + 1 else high
        what = f"{name} {which} of {len(every)}"
        futures.append(runner.submit(call, {"function": function, "things": every[low:high], "what": what}))
    # Results that were handed on are forgotten, so that not all of them are held.
    return (result for _ in range(len(futures)) for result in futures.popleft().result())


def shares(count: int, slots: int) -> list[tuple[int, int]]:
    """First and last (exclusive) of the things of each task: two tasks for each slot, or more where those are large.

    A task takes a quarter of a second of a worker's time, whatever it does.

    Examples:
        >>> shares(5, 2)
        [(0, 1), (1, 2), (2, 3), (3, 5)]
        >>> len(shares(100, 2))
        13
    """
    tasks = max(min(count, 2 * slots), -(-count // MOST_AT_ONCE))
    return [(count * place // tasks, count * (place + 1) // tasks) for place in range(tasks)]


def _slots(runner: Any, count: int) -> int:
    """Tasks that run at a time; of a Dask cluster it is known when it runs."""
    client = getattr(runner, "client", None)
    return max(1, sum(client.nthreads().values())) if client is not None else count


@contextmanager
def _shared_cores(count: int) -> Iterator[None]:
    """Processes that start meanwhile share the cores: Polars in all has a thread for each."""
    import polars as pl

    pl.thread_pool_size()  # here there are as many as there were
    before = os.environ.get(THREADS)
    os.environ[THREADS] = before or str(max(1, (os.cpu_count() or 1) // count))
    try:
        yield
    finally:
        if before is None:
            del os.environ[THREADS]
