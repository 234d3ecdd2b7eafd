"""Opens the tracking UI."""

import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser

from tasks.health import require_answer
from tasks.registry import store
from tasks.steps import log
from tasks.tracking import client_for
from varjepa.config.operations import TrackingSection
from varjepa.errors import SetupError

HOST = "127.0.0.1"
STARTUP_SECONDS = 120


def serve_ui(uri: str | None, port: int, *, browser: bool) -> None:
    """Serves the UI of a local store until interrupted, or opens that of a tracking server.

    Args:
        uri: tracking store; None means the usual one.
        port: of the local server, on 127.0.0.1.
        browser: whether to open a browser.

    Raises:
        SetupError: the port is taken, the store cannot be used, or the server does not start.
    """
    uri = store(uri)
    if uri.startswith("http"):
        _announce(uri.rstrip("/"), browser=browser)
        return
    client = client_for(uri)  # makes the database where there is none, and says what is wrong with it
    experiment = client.get_experiment_by_name(TrackingSection().experiment)
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise SetupError(f"Port {port} is taken.", fix=f"Try --port {port + 1}.")
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "-w", "1"]
    server = subprocess.Popen([*command, "--backend-store-uri", uri], env=environment, stdout=subprocess.DEVNULL)  # noqa: S603
    # A terminated command must not leave its server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        _wait_until_up(server, port)
        page = f"/#/experiments/{experiment.experiment_id}?workflowType=machine_learning" if experiment else ""
        _announce(f"http://{HOST}:{port}{page}", browser=browser)
        server.wait()
    except KeyboardInterrupt:
        log.info("closing the tracking UI")
    finally:
        server.terminate()
        server.wait()


def _wait_until_up(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            require_answer(f"http://{HOST}:{port}", seconds=5)
        except OSError:
            time.sleep(0.3)
        else:
            return
    raise SetupError("The tracking server does not start.", fix="`varjepa doctor` may say why.")


def _announce(url: str, *, browser: bool) -> None:
    log.info("tracking UI: %s", url)
    if browser:
        webbrowser.open(url)
