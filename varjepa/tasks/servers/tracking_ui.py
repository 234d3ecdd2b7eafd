"""Opens the tracking UI."""

import sys
import webbrowser
from pathlib import Path

from varjepa.config.operations import TrackingSection
from varjepa.redaction import redacted_uri
from varjepa.tasks.processes.child import HOST, Child, require_free
from varjepa.tasks.processes.signals import exit_on_sigterm
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.store import client_for
from varjepa.tasks.tracking.uris import store

LOG = Path("mlruns/ui.log")
"""Log of the server."""


def serve_ui(uri: str | None, port: int, *, browser: bool) -> None:
    """Serves the UI of a local store until interrupted, or opens that of a tracking server.

    Args:
        uri: tracking store; None means the default one.
        port: of the local server, on 127.0.0.1.
        browser: whether to open a browser.

    Raises:
        SetupError: the port is in use, the store cannot be used, or the server does not start.
    """
    uri = store(uri)
    if uri.startswith("http"):
        _announce(uri.rstrip("/"), browser=browser)
        return
    client = client_for(uri)  # creates the database if it does not exist; reports an unusable store
    experiment = client.get_experiment_by_name(TrackingSection().experiment)
    require_free("--port", port)
    environment: dict[str, str | None] = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_BACKEND_STORE_URI": uri,
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "-w", "1"]
    LOG.parent.mkdir(exist_ok=True)
    try:
        with exit_on_sigterm(1), Child("tracking", command, LOG, environment=environment) as server:
            server.require_up(f"http://{HOST}:{port}")
            page = f"/#/experiments/{experiment.experiment_id}?workflowType=machine_learning" if experiment else ""
            _announce(f"http://{HOST}:{port}{page}", browser=browser)
            server.process.wait()
    except KeyboardInterrupt:
        log.info("closing the tracking UI")


def _announce(url: str, *, browser: bool) -> None:
    log.info("tracking UI: %s", redacted_uri(url))
    if browser:
        webbrowser.open(url)
