"""A tracking server and a Prefect server on PostgreSQL, for a trial of working together."""

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tasks.processes.child import HOST, Child, require_free
from tasks.processes.signals import exit_on_sigterm
from tasks.servers.postgres import driver, ensure_databases, postgres, require_no_password
from tasks.steps.log import log
from varjepa.errors import SetupError

MLFLOW, PREFECT = "mlflow", "prefect"
"""Names of the two databases: both servers keep a table of the same name."""


@dataclass(frozen=True)
class Wanted:
    """What to start.

    Attributes:
        folder: home of data, artifacts and logs; used again by the next start.
        port: of the tracking server.
        prefect_port: of the Prefect server.
        database_port: of PostgreSQL, where one is started.
        database: URI of a PostgreSQL server that runs already, without a password; None starts one.
        artifacts: where the tracking server keeps artifacts, a URI of MLflow's; None means below `folder`.
        host: address that the two servers listen on.
    """

    folder: Path
    port: int = 5000
    prefect_port: int = 4200
    database_port: int = 5433
    database: str | None = None
    artifacts: str | None = None
    host: str = HOST

    @property
    def exports(self) -> dict[str, str]:
        """What everybody who works with the servers puts into the environment."""
        return {
            "MLFLOW_TRACKING_URI": f"http://{self.host}:{self.port}",
            "PREFECT_API_URL": f"http://{self.host}:{self.prefect_port}/api",
        }


def run_servers(wanted: Wanted) -> None:
    """Starts the servers, says how to reach them, and runs until interrupted or terminated.

    Raises:
        SetupError: a port is taken, there is no PostgreSQL, or a server does not start or ends by itself.
    """
    driver()
    require_free("--port", wanted.port)
    require_free("--prefect-port", wanted.prefect_port)
    folder = wanted.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with exit_on_sigterm(0), ExitStack() as stack:
            if wanted.database is None:
                require_free("--database-port", wanted.database_port)
                database = stack.enter_context(postgres(folder, wanted.database_port))
                log.info("PostgreSQL: data in %s", folder / "postgres")
            else:
                database = require_no_password(wanted.database)
            ensure_databases(database, (MLFLOW, PREFECT))
            children = [stack.enter_context(child) for child in _children(wanted, folder, database)]
            for child, url in zip(children, wanted.exports.values(), strict=True):
                child.require_up(url)
                log.info("%s server: %s", child.name, url.removesuffix("/api"))
            _announce(wanted)
            _wait(children)
    except KeyboardInterrupt:
        log.info("the servers have ended; their data stays in %s", folder)


def _children(wanted: Wanted, folder: Path, database: str) -> list[Child]:
    """The two servers; passwords and places go by the environment, which other users of the machine cannot read."""
    host = ["--host", wanted.host, "--port"]
    common: dict[str, str | None] = dict.fromkeys(("MLFLOW_TRACKING_URI", "PREFECT_API_URL"))
    tracking = common | {
        "MLFLOW_BACKEND_STORE_URI": f"{database}/{MLFLOW}",
        "MLFLOW_ARTIFACTS_DESTINATION": wanted.artifacts or (folder / "artifacts").as_uri(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    orchestration = common | {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"{database}/{PREFECT}".replace(
            "postgresql", "postgresql+asyncpg", 1
        ),
        "PREFECT_HOME": str(folder / "prefect"),
    }
    python = [sys.executable, "-m"]
    return [
        Child("tracking", [*python, "mlflow", "server", "-w", "1", *host, str(wanted.port)], folder / "mlflow.log",
              environment=tracking),
        Child("Prefect", [*python, "prefect", "server", "start", *host, str(wanted.prefect_port)],
              folder / "prefect.log", environment=orchestration),
    ]  # fmt: skip


def _announce(wanted: Wanted) -> None:
    log.info("In every shell that works with them (Ctrl-C here ends them, the data stays):")
    for name, value in wanted.exports.items():
        print(f"export {name}={value}", flush=True)  # noqa: T201 (programs read stdout)


def _wait(children: list[Child]) -> None:
    while all(child.runs for child in children):
        time.sleep(0.5)
    ended = next(child for child in children if not child.runs)
    raise SetupError(f"The {ended.name} server ended: {ended.last_words()}.", fix=f"See {ended.log}.")
