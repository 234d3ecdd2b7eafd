"""Opens the tracking UI."""

import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from varjepa.config.operations import TrackingSection
from varjepa.tasks.processes.child import HOST, Child, require_free
from varjepa.tasks.processes.signals import exit_on_sigterm
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.links import experiment_page, experiments_page, is_server
from varjepa.tasks.tracking.store import client_for
from varjepa.tasks.tracking.uris import store

if TYPE_CHECKING:
    from mlflow.entities import Experiment

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
    experiment = client_for(uri).get_experiment_by_name(TrackingSection().experiment)  # creates a database, if need be
    if is_server(uri):
        _announce(_first_page(uri, experiment), browser=browser)
        return
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
            _announce(_first_page(f"http://{HOST}:{port}", experiment), browser=browser)
            server.process.wait()
    except KeyboardInterrupt:
        log.info("closing the tracking UI")


def _first_page(uri: str, experiment: "Experiment | None") -> str:
    """Our runs; the list of experiments, which opens them in the view for GenAI, only where there are none yet."""
    return experiments_page(uri) if experiment is None else experiment_page(uri, experiment.experiment_id)


def _announce(url: str, *, browser: bool) -> None:
    log.info("tracking UI: %s", url)
    if browser:
        webbrowser.open(url)
