"""The Prefect server of a schedule: the configured one, or one that we start on this machine."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from varjepa.errors import SetupError
from varjepa.redaction import redacted_uri
from varjepa.tasks.processes.child import HOST, Child, require_free
from varjepa.tasks.processes.health import require_answer
from varjepa.tasks.steps.log import log

UI_ADDRESS = "PREFECT_SERVER_UI_API_URL"
"""Variable with the address at which Prefect's pages look for its API. Prefect's default names port 4200."""

ANY_HOST = ("0.0.0.0", "::")  # noqa: S104 (compared with, not bound to)
"""Hosts that a server can listen on, but that no browser can open."""


def ui_environment(host: str, port: int) -> dict[str, str | None]:
    """Variables of a server whose pages are to find its API; an address that the user has set stays.

    Examples:
        >>> ui_environment("127.0.0.1", 4201)
        {'PREFECT_SERVER_UI_API_URL': 'http://127.0.0.1:4201/api'}
    """
    chosen = (os.environ.get(name) for name in (UI_ADDRESS, "PREFECT_UI_API_URL"))
    # Without a host it is the one that the browser got the page from.
    address = "/api" if host in ANY_HOST else f"http://{host}:{port}/api"
    return {UI_ADDRESS: next(filter(None, chosen), address)}


@contextmanager
def local_server(port: int) -> Iterator[str]:
    """Runs a Prefect server on this machine during the block, with its earlier data; yields the URL of its API.

    Args:
        port: on 127.0.0.1.

    Raises:
        SetupError: `PREFECT_API_URL` names another server, the port is taken, or the server does not start.
    """
    if configured := get_current_settings().api.url:
        raise SetupError(
            f"PREFECT_API_URL is {redacted_uri(configured)}, but --server starts another server.",
            fix="Leave one of them out.",
        )
    require_free("--port", port)
    url, home = f"http://{HOST}:{port}/api", get_current_settings().home
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    home.mkdir(parents=True, exist_ok=True)
    # The server is in its own process group. So Ctrl-C reaches the schedule first, which must still be paused there.
    log_file = home / f"server-{port}.log"
    with Child("Prefect", command, log_file, environment=ui_environment(HOST, port), quick=True) as server:
        server.require_up(url)
        log.info("Prefect server: http://%s:%d", HOST, port)
        with temporary_settings({PREFECT_API_URL: url}):
            yield url


def require_server() -> None:
    """Checks that there is a permanent Prefect server.

    Raises:
        SetupError: none is configured, or it does not answer.
    """
    url = get_current_settings().api.url
    if not url:
        raise SetupError(
            "There is no Prefect server to keep the schedule.",
            fix=f"Add --server, or run `prefect server start --host {HOST}` elsewhere and "
            f"{_use(f'http://{HOST}:4200/api')}.",
        )
    try:
        require_answer(url, seconds=15)
    except (OSError, ValueError) as error:
        raise SetupError(
            f"The Prefect server {redacted_uri(url)} does not answer: {error}.", fix="Start it, or add --server."
        ) from (error)


def _use(url: str) -> str:
    return f"`export PREFECT_API_URL={url}`"
