"""Runners of independent tasks: threads, processes, a Dask cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from varjepa.errors import SetupError
from varjepa.machine import cores
from varjepa.tasks.orchestration.recorded_flow import recorder
from varjepa.tasks.steps.orchestrated import one_run


def task_runner(runner: str, workers: int = 0, dask_address: str | None = None) -> Any:
    """A Prefect task runner.

    Args:
        runner: processes or threads of this machine, or dask.
        workers: tasks in parallel; 0 means one per core.
        dask_address: scheduler of a running Dask cluster; None starts a local one.

    Raises:
        SetupError: Dask is not installed.
    """
    from prefect.task_runners import ThreadPoolTaskRunner

    from varjepa.tasks.orchestration.process_runner import ProcessRunner

    workers = workers or cores()
    if runner == "threads":
        return ThreadPoolTaskRunner(max_workers=workers)
    if runner == "processes":
        return ProcessRunner(max_workers=workers)
    try:
        from prefect_dask import DaskTaskRunner  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise SetupError(
            "The runner dask needs prefect-dask, which is not installed.", fix="pip install 'varjepa[dask]'"
        ) from error
    if dask_address:
        return DaskTaskRunner(address=dask_address)
    return DaskTaskRunner(cluster_kwargs={"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None})


def runs_on_this_machine(runner: str, dask_address: str | None) -> bool:
    """Whether a runner starts processes on this machine."""
    return runner == "processes" or (runner == "dask" and not dask_address)


@contextmanager
def shared_server(runner: str, dask_address: str | None) -> Iterator[None]:
    """Shares the temporary Prefect server of this process with the processes that a runner starts during the block.

    Otherwise each of them would start its own, which takes seconds. Does nothing if a server is configured.
    """
    if not runs_on_this_machine(runner, dask_address):
        yield
        return
    with one_run(), recorder():
        yield


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Sets torch to one thread, for parallel tasks. Results then do not depend on the number of cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
