"""Where the cells of a benchmark are computed."""

import os
from typing import Any

from varjepa.config import BenchmarkConfig
from varjepa.errors import SetupError


def task_runner(config: BenchmarkConfig) -> Any:
    """The Prefect task runner that `config.runner` names.

    Raises:
        SetupError: Dask is not installed.
    """
    from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

    workers = config.workers or os.cpu_count() or 1
    if config.runner == "threads":
        return ThreadPoolTaskRunner(max_workers=workers)
    if config.runner == "processes":
        return ProcessPoolTaskRunner(max_workers=workers)
    try:
        from prefect_dask import DaskTaskRunner  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise SetupError(
            "The runner dask needs prefect-dask, which is not installed.", fix="pip install 'varjepa[dask]'"
        ) from error
    if config.dask_address:
        return DaskTaskRunner(address=config.dask_address)
    return DaskTaskRunner(cluster_kwargs={"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None})
