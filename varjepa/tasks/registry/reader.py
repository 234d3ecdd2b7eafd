"""Reads a registry. A local one is read from its SQLite file, because to import MLflow takes seconds."""

import math
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from varjepa.config.uris import scheme_of
from varjepa.errors import SetupError
from varjepa.tasks.tracking.uris import database_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

MODELS = "SELECT name FROM registered_models WHERE workspace = 'default' ORDER BY name"
ALIASES = "SELECT name, alias, version FROM registered_model_aliases WHERE workspace = 'default'"
MODEL_TAGS = "SELECT name, key, value FROM registered_model_tags WHERE workspace = 'default'"
VERSION_TAGS = "SELECT version, key, value FROM model_version_tags WHERE workspace = 'default' AND name = ?"
MODEL_VERSIONS = (
    "SELECT version, run_id, creation_time FROM model_versions WHERE workspace = 'default' AND name = ? "
    "AND current_stage != 'Deleted_Internal' ORDER BY version DESC"
)
PLACE = "SELECT storage_location FROM model_versions WHERE workspace = 'default' AND name = ? AND version = ?"
METRICS = "SELECT key, value, is_nan FROM latest_metrics WHERE run_uuid = ?"


class ModelEntry(NamedTuple):
    """A registered model, with the attributes of MLflow's own entity that we read."""

    name: str
    aliases: dict[str, str]
    tags: dict[str, str]


class VersionEntry(NamedTuple):
    """A version of a registered model, with the attributes of MLflow's own entity that we read.

    Attributes:
        name: of the model.
        version: its number.
        run_id: run that made it; empty where none did.
        creation_timestamp: milliseconds since 1970.
        tags: of the version.
    """

    name: str
    version: str
    run_id: str | None
    creation_timestamp: int
    tags: dict[str, str]


class Registry(Protocol):
    """Registered models, their versions, and the metrics of runs."""

    def model(self, name: str) -> ModelEntry | None:
        """The registered model of a name."""

    def models(self) -> list[ModelEntry]:
        """All registered models."""

    def versions(self, name: str) -> list[VersionEntry]:
        """All versions of a model, newest first."""

    def metrics(self, run_id: str) -> dict[str, float]:
        """The metrics of a run; none where it is gone, as after `mlflow gc`."""


def registry_at(uri: str) -> Registry:
    """The registry of a tracking store. Creates no store.

    Args:
        uri: from `varjepa.tasks.tracking.uris.store`.

    Raises:
        SetupError: there is no store, or it cannot be used.
    """
    require_store(uri)
    database = database_file(uri)
    if database is not None:
        try:
            return FileRegistry(database)
        except sqlite3.Error:
            pass  # MLflow says what is wrong with it, or migrates what an earlier version wrote
    from varjepa.tasks.tracking.store import client_for

    return ServedRegistry(client_for(uri))


def require_store(uri: str) -> None:
    """Checks that the file of a local store is there. Commands that read would otherwise create an empty one.

    Raises:
        SetupError: it is not.
    """
    database = database_file(uri)
    if database is not None and not database.exists():
        raise SetupError(
            f"There is no tracking store {database}, so no model is registered in it.",
            fix="Check --tracking-uri and MLFLOW_TRACKING_URI; the default is mlruns/mlflow.db of the working folder.",
        )


class FileRegistry:
    """The registry in a SQLite file of MLflow, which is only read.

    Raises:
        sqlite3.Error: the file has other tables.
    """

    def __init__(self, database: Path) -> None:
        self.database = database
        for query in (MODELS, ALIASES, MODEL_TAGS):
            self._rows(f"{query} LIMIT 0")
        for query in (MODEL_VERSIONS, VERSION_TAGS, METRICS):
            self._rows(query, "")
        self._rows(PLACE, "", "")

    def _rows(self, query: str, *values: str) -> Sequence[Any]:
        with closing(sqlite3.connect(f"{self.database.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as opened:
            return opened.execute(query, values).fetchall()

    def model(self, name: str) -> ModelEntry | None:
        """The registered model of a name."""
        return next((model for model in self.models() if model.name == name), None)

    def models(self) -> list[ModelEntry]:
        """All registered models."""
        aliases, tags = dict[str, dict[str, str]](), dict[str, dict[str, str]]()
        for name, alias, version in self._rows(ALIASES):
            aliases.setdefault(name, {})[alias] = str(version)
        for name, key, value in self._rows(MODEL_TAGS):
            tags.setdefault(name, {})[key] = value
        return [ModelEntry(name, aliases.get(name, {}), tags.get(name, {})) for (name,) in self._rows(MODELS)]

    def versions(self, name: str) -> list[VersionEntry]:
        """All versions of a model, newest first."""
        tags = dict[int, dict[str, str]]()
        for version, key, value in self._rows(VERSION_TAGS, name):
            tags.setdefault(version, {})[key] = value
        return [
            VersionEntry(name, str(version), run_id, created, tags.get(version, {}))
            for version, run_id, created in self._rows(MODEL_VERSIONS, name)
        ]

    def folder(self, name: str, version: str) -> Path | None:
        """The folder of a version's files if they lie on this machine."""
        places = [place for (place,) in self._rows(PLACE, name, version) if place]
        if not places or scheme_of(places[0]) not in ("", "file"):
            return None
        folder = Path(unquote(urlsplit(places[0]).path))
        return folder if folder.is_dir() else None

    def metrics(self, run_id: str) -> dict[str, float]:
        """The metrics of a run."""
        rows = self._rows(METRICS, run_id)
        return {key: math.nan if is_nan else value for key, value, is_nan in rows}


def _entry(model: "RegisteredModel") -> ModelEntry:
    return ModelEntry(model.name, {alias: str(version) for alias, version in model.aliases.items()}, model.tags)


class ServedRegistry:
    """The registry behind a client of MLflow: on a server, or in another database."""

    def __init__(self, client: "MlflowClient") -> None:
        self.client = client

    def model(self, name: str) -> ModelEntry | None:
        """The registered model of a name."""
        from varjepa.tasks.registry.search import registered_model

        found = registered_model(self.client, name)
        return None if found is None else _entry(found)

    def models(self) -> list[ModelEntry]:
        """All registered models."""
        from varjepa.tasks.registry.search import every_model

        return [_entry(model) for model in every_model(self.client)]

    def versions(self, name: str) -> list[VersionEntry]:
        """All versions of a model, newest first."""
        from varjepa.tasks.registry.search import versions_of

        return [
            VersionEntry(name, str(version.version), version.run_id, version.creation_timestamp, version.tags)
            for version in versions_of(self.client, name)
        ]

    def metrics(self, run_id: str) -> dict[str, float]:
        """The metrics of a run."""
        from mlflow.exceptions import MlflowException

        from varjepa.tasks.registry.search import GONE

        try:
            return self.client.get_run(run_id).data.metrics
        except MlflowException as error:
            if error.error_code not in GONE:
                raise
            return {}
