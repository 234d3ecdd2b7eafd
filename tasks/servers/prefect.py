"""The Prefect server of a schedule: the configured one, or one that we start on this machine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from tasks.processes.child import HOST, Child, require_free
from tasks.processes.health import require_answer
from tasks.steps.log import log
from varjepa.errors import SetupError


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
            f"PREFECT_API_URL is {configured}, but --server starts another server.", fix="Leave one of them out."
        )
    require_free("--port", port)
    url, home = f"http://{HOST}:{port}/api", get_current_settings().home
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    home.mkdir(parents=True, exist_ok=True)
    # The server is in its own process group. So Ctrl-C reaches the schedule first, which must still be paused there.
    with Child("Prefect", command, home / f"server-{port}.log", quick=True) as server:
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
        raise SetupError(f"The Prefect server {url} does not answer: {error}.", fix="Start it, or add --server.") from (
            error
        )


def _use(url: str) -> str:
    return f"`export PREFECT_API_URL={url}`"
