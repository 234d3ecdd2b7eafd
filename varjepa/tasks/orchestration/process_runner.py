"""A runner of tasks in processes that go by the settings of whoever starts it."""

from contextvars import Context, copy_context
from typing import Self

from prefect.task_runners import ProcessPoolTaskRunner


class ProcessRunner(ProcessPoolTaskRunner):
    """Prefect's runner, whose logs and events reach the server of the block that it is entered in.

    A thread of it passes on what the processes say. Without the settings of the block, which may name the temporary
    server, Prefect would start two more servers for that thread, with 10 CPU seconds each.
    """

    _settings: Context

    def __enter__(self) -> Self:
        """Starts the processes."""
        self._settings = copy_context()
        return super().__enter__()

    def _forward_subprocess_messages(self) -> None:
        self._settings.run(super()._forward_subprocess_messages)
