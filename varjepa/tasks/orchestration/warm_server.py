"""Starts Prefect's temporary server while a command imports what it needs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from varjepa.tasks.processes.owner import OWNER, this_process
from varjepa.tasks.steps.imports import quick_imports
from varjepa.tasks.steps.log import log


@contextmanager
def server_under_way() -> Iterator[None]:
    """Starts Prefect's temporary server, if needed, while the block imports. The flow waits for it."""
    log.info("loading libraries, which takes ten seconds or more")
    with quick_imports():
        os.environ[OWNER] = this_process()  # if this process is killed, the next one ends what it left
        begin_server()
        yield


def begin_server() -> None:
    """Starts the temporary server without waiting for it; does nothing if another server is configured."""
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if settings.api.url or not settings.server.ephemeral.enabled:
        return
    from varjepa.tasks.orchestration.temporary_server import temporary_server

    temporary_server().begin()
