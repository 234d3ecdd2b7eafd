"""Prefect's runner of tasks in processes of this machine, on the server of whoever starts it."""

from contextvars import Context, copy_context
from typing import Self

from prefect.task_runners import ProcessPoolTaskRunner


class ProcessPool(ProcessPoolTaskRunner):
    """Passes on what its processes log to the server that they work for.

    A thread of Prefect's does so by the settings of the process, which do not know a temporary server: it would start
    another one, which takes seconds, and writes into the user's own database.
    """

    _settings: Context

    def __enter__(self) -> Self:
        """Starts the pool and the thread."""
        self._settings = copy_context()
        return super().__enter__()

    def _forward_subprocess_messages(self) -> None:
        self._settings.run(super()._forward_subprocess_messages)
