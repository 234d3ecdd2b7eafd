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
    """Starts Prefect's temporary server, if needed, while the block imports. Waits for the server at the end.

    A server that does not start is not an error here: the flow tries again and reports the reason.
    """
    with quick_imports():
        starting = _starting_server()
        try:
            yield
        finally:
            if starting is not None:
                starting.join()


def _starting_server() -> Thread | None:
    """The thread that starts the server; None if no server is needed."""
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if settings.api.url or not settings.server.ephemeral.enabled:
        return None
    from prefect.server.api.server import SubprocessASGIServer

    os.environ[OWNER] = this_process()  # if this process is killed, the next one ends the server
    server = SubprocessASGIServer()  # the instance that the flows of this process use

    def start() -> None:
        try:
            server.start()
        except Exception:
            logging.getLogger("varjepa").debug("the temporary server does not start", exc_info=True)

    thread = Thread(target=start, name="prefect server", daemon=True)
    thread.start()
    return thread
