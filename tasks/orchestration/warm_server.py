"""Starts Prefect's temporary server while a command imports what it needs."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from tasks.processes.owner import OWNER, this_process
from tasks.steps.imports import quick_imports


@contextmanager
def server_under_way() -> Iterator[None]:
    """Starts Prefect's temporary server, where one will be needed, while the block imports; both are there afterwards.

    A server that does not start is no error here: the flow tries again, and says what is wrong.
    """
    with quick_imports():
        starting = _starting_server()
        try:
            yield
        finally:
            if starting is not None:
                starting.join()


def _starting_server() -> Thread | None:
    """The thread that starts the server; None where none will be needed."""
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if settings.api.url or not settings.server.ephemeral.enabled:
        return None
    from prefect.server.api.server import SubprocessASGIServer

    os.environ[OWNER] = this_process()  # should this process be killed, its server is ended by the next one
    server = SubprocessASGIServer()  # the one of this process, which flows find running

    def start() -> None:
        try:
            server.start()
        except Exception:
            logging.getLogger("varjepa").debug("the temporary server does not start", exc_info=True)

    thread = Thread(target=start, name="prefect server", daemon=True)
    thread.start()
    return thread
