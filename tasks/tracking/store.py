"""Connects to the MLflow tracking store, and creates its database if there is none yet."""

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.processes.health import require_answer
from tasks.steps.log import log
from tasks.tracking.locks import store_lock
from tasks.tracking.uris import POSTGRES, SQLITE, database_file, hidden_credentials, tracking_uri
from varjepa.config.operations import TrackingSection
from varjepa.errors import SetupError

if TYPE_CHECKING:
    from mlflow import MlflowClient


@cache
def client_for(uri: str) -> "MlflowClient":
    """A client of a tracking store. Creates the store if it is a SQLite file that does not exist yet.

    Raises:
        SetupError: the store cannot be reached.
    """
    # MLflow logs every migration of a new database, which is of no interest here.
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    import mlflow

    database = database_file(uri)
    try:
        if database is not None:
            database.parent.mkdir(parents=True, exist_ok=True)
        elif uri.startswith("http"):
            require_answer(uri, seconds=15)  # one request; MLflow itself would retry for minutes
        with store_lock(uri, "tables"):  # two processes that create them at once damage the database
            if database is not None and not database.exists():
                _create(database)
            client = mlflow.MlflowClient(uri)
            client.search_experiments(max_results=1)
            return client
    except ModuleNotFoundError as error:
        raise SetupError(
            f"The tracking store {hidden_credentials(uri)} needs the module {error.name}, which is not installed.",
            fix="pip install 'varjepa[postgres]'" if uri.startswith(POSTGRES) else f"pip install {error.name}",
        ) from error
    except Exception as error:
        reason = " ".join(str(error).replace(uri, hidden_credentials(uri)).split())[:300]
        raise SetupError(
            f"The tracking store {hidden_credentials(uri)} cannot be used: {reason}.",
            fix="Check tracking.uri and MLFLOW_TRACKING_URI, or run `varjepa doctor`.",
        ) from error


def client_of(tracking: TrackingSection) -> "MlflowClient":
    """A client of the store that a configuration names; see `client_for`."""
    return client_for(tracking_uri(tracking))


def open_known(tracking: TrackingSection) -> None:
    """Opens an existing database in advance, because that takes a second or two. Does not create one."""
    uri = tracking_uri(tracking)
    database = database_file(uri)
    if database is not None and database.is_file():
        client_for(uri)


def _create(database: Path) -> None:
    """Creates a database atomically, because MLflow cannot resume migrations that were killed.

    It is created under a temporary name, then renamed.
    """
    import mlflow

    unfinished = database.with_suffix(".unfinished")
    for file in (unfinished, Path(f"{unfinished}-journal")):
        file.unlink(missing_ok=True)
    mlflow.MlflowClient(f"{SQLITE}{unfinished}").search_experiments(max_results=1)
    unfinished.replace(database)


def experiment_id(tracking: TrackingSection) -> str:
    """Finds or creates the experiment.

    Raises:
        SetupError: it is deleted, or its artifact store is not that of the configuration.
    """
    from mlflow.exceptions import MlflowException

    client = client_of(tracking)
    experiment, place = client.get_experiment_by_name(tracking.experiment), artifact_place(tracking)
    if experiment is None:
        if place and tracking.artifacts is None and database_file(tracking_uri(tracking)) is None:
            log.warning(
                "Artifacts are stored in %s on this machine. Set tracking.artifacts to a place for all machines.", place
            )
        try:
            return client.create_experiment(tracking.experiment, artifact_location=place)
        except MlflowException as error:
            # Another process may have created it meanwhile.
            experiment = client.get_experiment_by_name(tracking.experiment)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or experiment is None:
                raise
    if experiment.lifecycle_stage != "active":
        raise SetupError(
            f'The experiment "{tracking.experiment}" is deleted.',
            fix="Restore it in the tracking UI, or set tracking.experiment to another name.",
        )
    if tracking.artifacts is not None and experiment.artifact_location.rstrip("/") != str(place).rstrip("/"):
        raise SetupError(
            f'The experiment "{tracking.experiment}" stores its artifacts in '
            f"{hidden_credentials(experiment.artifact_location)}, which cannot be changed.",
            expected=f"Expected {hidden_credentials(str(place))} (tracking.artifacts).",
            fix="Set tracking.experiment to another name, or leave out tracking.artifacts.",
        )
    return experiment.experiment_id


def artifact_place(tracking: TrackingSection) -> str | None:
    """Where a new experiment stores its artifacts; None means that the tracking server decides.

    Examples:
        >>> artifact_place(TrackingSection(artifacts="s3://bucket/models"))
        's3://bucket/models'
    """
    uri, place = tracking_uri(tracking), tracking.artifacts
    if place is not None:
        return place if "://" in place else Path(place).absolute().as_uri()
    if uri.startswith("http"):
        return None
    database = database_file(uri)
    folder = (Path("mlruns") if database is None else database.parent) / "artifacts"
    return folder.absolute().as_uri()
