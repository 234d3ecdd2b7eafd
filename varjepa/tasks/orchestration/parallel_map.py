"""One function for many items in parallel: in processes or threads of this machine, or on a Dask cluster."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from prefect.cache_policies import NO_CACHE

from varjepa.config import PreprocessSection
from varjepa.machine import cores
from varjepa.tasks.orchestration.runners import runs_on_this_machine, shared_server, task_runner
from varjepa.tasks.steps.orchestrated import without_orchestration
from varjepa.tasks.steps.retries import retried_task

if TYPE_CHECKING:
    from varjepa.data.fit.ranges import ParallelMap

THREADS = "POLARS_MAX_THREADS"

MOST_AT_ONCE = 8
"""Maximum number of items per task. Their results are in memory together."""

_A = TypeVar("_A")
_R = TypeVar("_R")


@retried_task("partitions", task_run_name="{what}", retries=1, seconds=0, cache_policy=NO_CACHE)
def call(function: Callable[[Any], Any], items: list[Any], what: str) -> list[Any]:  # noqa: ARG001 (for the name)
    """Calls the function with one item after the other."""
    return [function(item) for item in items]


@contextmanager
def workers(settings: PreprocessSection) -> Iterator["ParallelMap"]:
    """A parallel map on the runner of `preprocess.runner`. Functions and items are pickled for it.

    Raises:
        SetupError: Dask is not installed.
    """
    if without_orchestration():
        yield _one_after_the_other
        return
    count = settings.workers or cores()
    where = settings.runner, settings.dask_address
    shared = _shared_cores(count) if runs_on_this_machine(*where) else nullcontext()
    with shared, shared_server(*where), task_runner(settings.runner, count, settings.dask_address) as runner:
        yield partial(_parallel_map, runner, _slots(runner, count))


def _one_after_the_other(function: Callable[[_A], _R], items: Iterable[_A]) -> Iterator[_R]:
    return map(function, items)


def _parallel_map(
    runner: Any, slots: int, function: Callable[[_A], _R], items: Iterable[_A]
) -> Iterator[_R]:  # fmt: skip
    name, every = getattr(function, "func", function).__name__, list(items)
    futures: deque[Any] = deque()
    for low, high in shares(len(every), slots):
        which = f"{low + 1} to {high}" if high > low + 1 else high
        what = f"{name} {which} of {len(every)}"
        futures.append(runner.submit(call, {"function": function, "items": every[low:high], "what": what}))
    # `popleft` drops the results that the caller has taken, so that not all results are in memory.
    return (result for _ in range(len(futures)) for result in futures.popleft().result())


def shares(count: int, slots: int) -> list[tuple[int, int]]:
    """First item and end of each task: two tasks per slot, or more if that exceeds `MOST_AT_ONCE` items per task.

    Few tasks are better, because each has an overhead of a quarter of a second.

    Examples:
        >>> shares(5, 2)
        [(0, 1), (1, 2), (2, 3), (3, 5)]
        >>> len(shares(100, 2))
        13
    """
    tasks = max(min(count, 2 * slots), -(-count // MOST_AT_ONCE))
    return [(count * place // tasks, count * (place + 1) // tasks) for place in range(tasks)]


def _slots(runner: Any, count: int) -> int:
    """Number of tasks that run in parallel; a running Dask cluster knows its own."""
    client = getattr(runner, "client", None)
    return max(1, sum(client.nthreads().values())) if client is not None else count


@contextmanager
def _shared_cores(count: int) -> Iterator[None]:
    """Divides the cores among processes that start during the block, by their number of Polars threads."""
    import polars as pl

    pl.thread_pool_size()  # fixes the number of threads of this process first
    before = os.environ.get(THREADS)
    os.environ[THREADS] = before or str(max(1, cores() // count))
    try:
        yield
    finally:
        if before is None:
            del os.environ[THREADS]
