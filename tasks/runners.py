"""Where tasks that do not wait for each other are computed."""

import os
from typing import Any

from varjepa.errors import SetupError


def task_runner(runner: str, workers: int = 0, dask_address: str | None = None) -> Any:
    """A Prefect task runner.

    Args:
        runner: processes or threads of this machine, or dask.
        workers: tasks at a time; 0 means as many as there are cores.
        dask_address: scheduler of a running Dask cluster; None starts a local one.

    Raises:
        SetupError: Dask is not installed.
    """
    from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

    workers = workers or os.cpu_count() or 1
    if runner == "threads":
        return ThreadPoolTaskRunner(max_workers=workers)
    if runner == "processes":
        return ProcessPoolTaskRunner(max_workers=workers)
    try:
        from prefect_dask import DaskTaskRunner  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise SetupError(
            "The runner dask needs prefect-dask, which is not installed.", fix="pip install 'varjepa[dask]'"
        ) from error
    if dask_address:
        return DaskTaskRunner(address=dask_address)
    return DaskTaskRunner(cluster_kwargs={"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None})
