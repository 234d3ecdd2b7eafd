"""A tracking server and a Prefect server on PostgreSQL, for a team to try."""

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from varjepa.errors import SetupError
from varjepa.tasks.processes.child import HOST, Child, require_free
from varjepa.tasks.processes.signals import exit_on_sigterm
from varjepa.tasks.servers.postgres import driver, ensure_databases, postgres, require_no_password
from varjepa.tasks.servers.prefect import ui_environment
from varjepa.tasks.steps.log import log

MLFLOW, PREFECT = "mlflow", "prefect"
"""Names of the two databases. They must be separate because both servers use a table of the same name."""


@dataclass(frozen=True)
class Wanted:
    """Settings of the servers.

    Attributes:
        folder: for data, artifacts and logs; kept for the next start.
        port: of the tracking server.
        prefect_port: of the Prefect server.
        database_port: of PostgreSQL, if it is started.
        database: URI of a running PostgreSQL server, without a password; None starts one.
        artifacts: URI where the tracking server stores artifacts; None means in `folder`.
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
        """Environment variables for the users of the servers."""
        return {
            "MLFLOW_TRACKING_URI": f"http://{self.host}:{self.port}",
            "PREFECT_API_URL": f"http://{self.host}:{self.prefect_port}/api",
        }


def run_servers(wanted: Wanted) -> None:
    """Starts the servers, prints how to reach them, and runs until interrupted or terminated.

    Raises:
        SetupError: a port is in use, PostgreSQL is not installed, or a server does not start or ends unexpectedly.
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
        log.info("the servers have stopped; their data is kept in %s", folder)


def _children(wanted: Wanted, folder: Path, database: str) -> list[Child]:
    """The two servers. Settings are passed in the environment, which other users of the machine cannot read."""
    host = ["--host", wanted.host, "--port"]
    common: dict[str, str | None] = dict.fromkeys(("MLFLOW_TRACKING_URI", "PREFECT_API_URL"))
    tracking = common | {
        "MLFLOW_BACKEND_STORE_URI": f"{database}/{MLFLOW}",
        "MLFLOW_ARTIFACTS_DESTINATION": wanted.artifacts or (folder / "artifacts").as_uri(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    orchestration = (
        common
        | ui_environment(wanted.host, wanted.prefect_port)
        | {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"{database}/{PREFECT}".replace(
                "postgresql", "postgresql+asyncpg", 1
            ),
            "PREFECT_HOME": str(folder / "prefect"),
        }
    )
    python = [sys.executable, "-m"]
    return [
        Child("tracking", [*python, "mlflow", "server", "-w", "1", *host, str(wanted.port)], folder / "mlflow.log",
              environment=tracking),
        Child("Prefect", [*python, "prefect", "server", "start", *host, str(wanted.prefect_port)],
              folder / "prefect.log", environment=orchestration),
    ]  # fmt: skip


def _announce(wanted: Wanted) -> None:
    log.info("Run these lines in every shell that uses the servers. Ctrl-C stops the servers; the data is kept.")
    for name, value in wanted.exports.items():
        print(f"export {name}={value}", flush=True)  # noqa: T201 (programs read stdout)


def _wait(children: list[Child]) -> None:
    while all(child.runs for child in children):
        time.sleep(0.5)
    ended = next(child for child in children if not child.runs)
    raise SetupError(f"The {ended.name} server ended unexpectedly: {ended.last_words()}.", fix=f"See {ended.log}.")
