"""Connects to the MLflow tracking store, and creates its database if there is none yet."""

import logging
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from varjepa.config.operations import TrackingSection
from varjepa.errors import SetupError, VarjepaError
from varjepa.redaction import redacted_uri
from varjepa.tasks.processes.health import require_answer
from varjepa.tasks.steps.files import NoRoomError, disk_trouble
from varjepa.tasks.steps.imports import quick_imports
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.links import is_server, run_page
from varjepa.tasks.tracking.locks import store_lock
from varjepa.tasks.tracking.moved import exists, folder_of, follow, is_local
from varjepa.tasks.tracking.patience import PATIENCE, PatientClient, TrackingLostError, limit_mlflow, patiently
from varjepa.tasks.tracking.uris import POSTGRES, SQLITE, database_file, normal_uri, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient


def client_for(uri: str, patience: float = PATIENCE) -> "MlflowClient":
    """A client of a tracking store. Creates the store if it is a SQLite file that does not exist yet.

    Its calls wait for a store that does not answer at the moment.

    Args:
        uri: of the store, in any spelling.
        patience: seconds to wait.

    Raises:
        SetupError: the store cannot be reached.
    """
    return _client_for(normal_uri(uri), patience)


@cache
def _client_for(uri: str, patience: float) -> "MlflowClient":
    # MLflow logs every migration of a new database, which is of no interest here.
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    limit_mlflow()
    _import_mlflow(uri)
    from varjepa.tasks.tracking.redacting import RedactingClient

    database = database_file(uri)
    try:
        if database is not None:
            database.parent.mkdir(parents=True, exist_ok=True)
            patiently(lambda: _require_usable(database), uri, patience)
        elif uri.startswith("http"):
            require_answer(uri, seconds=15)  # one request; MLflow itself would retry for minutes
        with store_lock(uri, "tables"):  # two processes that create them at once damage the database
            if database is not None and not database.exists():
                _create(database)
            client = cast("MlflowClient", PatientClient(RedactingClient(uri), uri, patience))
            client.search_experiments(max_results=1)
            if database is not None:
                follow(database)
            return client
    except (TrackingLostError, NoRoomError):
        raise
    except ModuleNotFoundError as error:
        raise SetupError(
            f"The tracking store {redacted_uri(uri)} needs the module {error.name}, which is not installed.",
            fix="pip install 'varjepa[postgres]'" if uri.startswith(POSTGRES) else f"pip install {error.name}",
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and disk_trouble(error) is not None:
            raise  # the command names the disk
        reason = " ".join(str(error).replace(uri, redacted_uri(uri)).split())[:300]
        raise SetupError(
            f"The tracking store {redacted_uri(uri)} cannot be used: {reason}.",
            fix="Check tracking.uri and MLFLOW_TRACKING_URI, or run `varjepa doctor`.",
        ) from error


def _import_mlflow(uri: str) -> None:
    """Imports MLflow and what it imports itself for a store, which takes seconds, in less time."""
    if "mlflow" not in sys.modules:
        with quick_imports():
            import_module("mlflow")
            if not is_server(uri):
                import_module("mlflow.store.tracking.sqlalchemy_store")


def client_of(tracking: TrackingSection) -> "MlflowClient":
    """A client of the store that a configuration names; see `client_for`."""
    return client_for(tracking_uri(tracking), tracking.patience)


def run_link(tracking: TrackingSection, run_id: str) -> str:
    """The page of a run on a tracking server; empty where the store is a database, which has no pages of its own."""
    from mlflow.exceptions import MlflowException

    uri = tracking_uri(tracking)
    if not is_server(uri):
        return ""
    try:
        return run_page(uri, client_of(tracking).get_run(run_id).info.experiment_id, run_id)
    except (MlflowException, VarjepaError):
        return ""  # the result is there; a server that has gone since must not hide it


def open_known(tracking: TrackingSection) -> None:
    """Opens an existing database in advance, because that takes a second or two. Does not create one."""
    uri = tracking_uri(tracking)
    database = database_file(uri)
    if database is not None and database.is_file():
        client_of(tracking)


def _require_usable(database: Path) -> None:
    """Checks that a SQLite file can be read and written, or created. MLflow would try ten times in two minutes.

    Raises:
        OSError: its folder cannot be written to, or it is no file.
        sqlite3.Error: it is no database, or locked.
    """
    if database.is_dir():
        raise IsADirectoryError(f"{database} is a folder")
    for place in (database.parent, database):
        if place.exists() and not os.access(place, os.W_OK):
            raise PermissionError(f"{place} cannot be written to")
    if database.exists():
        with closing(sqlite3.connect(database, timeout=1)) as connection:
            connection.execute("PRAGMA schema_version")


def _create(database: Path) -> None:
    """Creates a database atomically, because MLflow cannot resume migrations that were killed.

    It is created under a temporary name, then renamed. Until then nobody needs what is in it, so it reaches the disk
    once, at the end: to wait for the disk after each of some hundred steps takes most of the time.
    """
    import mlflow

    unfinished = database.with_suffix(".unfinished")
    for file in (unfinished, Path(f"{unfinished}-journal")):
        file.unlink(missing_ok=True)
    with _unsynced(unfinished):
        mlflow.MlflowClient(f"{SQLITE}{unfinished}").search_experiments(max_results=1)
    with unfinished.open("rb+") as whole:
        os.fsync(whole.fileno())
    unfinished.replace(database)


@contextmanager
def _unsynced(database: Path) -> Iterator[None]:
    """Connections to this SQLite file that are opened in the block do not wait for the disk."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def unsynced(connection: object, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            opened = connection.execute("PRAGMA database_list").fetchone()[2]
            if opened and Path(opened).resolve() == database.resolve():
                connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", unsynced)
    try:
        yield
    finally:
        event.remove(Engine, "connect", unsynced)


KIND, MODEL_TRAINING = "mlflow.experimentKind", "custom_model_development"
"""Tag of an experiment, and its value for one whose runs train models: MLflow's pages then show runs and models."""


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
            return client.create_experiment(tracking.experiment, artifact_location=place, tags={KIND: MODEL_TRAINING})
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
            f"{redacted_uri(experiment.artifact_location)}, which cannot be changed.",
            expected=f"Expected {redacted_uri(str(place))} (tracking.artifacts).",
            fix="Set tracking.experiment to another name, or leave out tracking.artifacts.",
        )
    _require_place(experiment.artifact_location, place, tracking)
    if KIND not in experiment.tags:  # made by an earlier version, or by a person who has not chosen
        client.set_experiment_tag(experiment.experiment_id, KIND, MODEL_TRAINING)
    return experiment.experiment_id


def _require_place(location: str, place: str | None, tracking: TrackingSection) -> None:
    """Checks, before anything is trained, that artifacts go where they can be kept.

    Raises:
        SetupError: the folder is gone, or cannot be written to.
    """
    if place is None or not is_local(location):
        return
    folder = folder_of(location)
    if not exists(folder) and tracking.artifacts is None and location != place:
        raise SetupError(
            f'The experiment "{tracking.experiment}" stores its artifacts in {folder}, which is gone.',
            fix="Move it back there, or set tracking.experiment to another name.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SetupError(
            f"Artifacts cannot be written to {folder}: {error.strerror}.",
            fix="Change the permissions of the folder, or set tracking.experiment and tracking.artifacts.",
        ) from error
    if location != place and tracking.artifacts is None:
        log.warning("artifacts are stored in %s, not beside the database", folder)


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
