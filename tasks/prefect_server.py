"""The Prefect server that a schedule lives on: the configured one, or one of our own on this machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from tasks.health import require_answer
from tasks.steps import log
from varjepa.errors import SetupError

HOST = "127.0.0.1"
STARTUP_SECONDS = 180


@contextmanager
def local_server(port: int) -> Iterator[str]:
    """A Prefect server on this machine while the block runs, with what it knew before; yields the address of its API.

    Args:
        port: on 127.0.0.1.

    Raises:
        SetupError: `PREFECT_API_URL` names another server, the port is taken, or the server does not start.
    """
    if known := get_current_settings().api.url:
        raise SetupError(f"PREFECT_API_URL is {known}, and --server starts another one.", fix="Leave one of them out.")
    url = f"http://{HOST}:{port}/api"
    if _answers(url):
        raise SetupError(f"Port {port} is taken.", fix=f"Try --port {port + 1}, or use the server there: {_use(url)}.")
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    environment = os.environ | {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    # A session of its own: Ctrl-C reaches the schedule first, which still has to pause itself there.
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    try:
        _wait_until_up(server, url)
        log.info("Prefect server: http://%s:%d", HOST, port)
        with temporary_settings({PREFECT_API_URL: url}):
            yield url
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def require_server() -> None:
    """Checks that there is a server that outlives a flow.

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


def _answers(url: str) -> bool:
    try:
        require_answer(url, seconds=5)
    except (OSError, ValueError):
        return False
    return True


def _wait_until_up(server: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if _answers(url):
            return
        time.sleep(0.3)
    raise SetupError("The Prefect server does not start.", fix="`prefect server start` says why.")
