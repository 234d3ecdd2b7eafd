"""Removes for good what was deleted in a tracking store, with its artifacts."""

import contextlib
import io
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from varjepa.tasks.cleaning.policy import MONTH, Policy, size_of
from varjepa.tasks.tracking.uris import database_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

SHRINKS_FROM = 0.2
"""A SQLite file is written anew if this share of it is free."""


@dataclass
class Doomed:
    """Ids of what is to be deleted for good."""

    runs: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)


def delete_for_good(client: "MlflowClient", uri: str, policy: Policy, doomed: Doomed) -> list[str]:
    """Removes what was deleted just now, and what was deleted before the cutoff, with its artifacts.

    Returns:
        Sentences about what had to stay.
    """
    if uri.startswith("http"):
        return _delete_artifacts(client, uri, doomed)
    if doomed.runs:
        _collect(uri, run_ids=doomed.runs, logged_model_ids=doomed.models, skip_experiments=True)
    age = policy.older or MONTH
    _collect(uri, older_than=f"{age.total_seconds():.0f}s", time_delta=int(age.total_seconds() * 1000))
    _remove_empty_folders(client, doomed)
    file = database_file(uri)
    if file is not None:
        _shrink(file)
    return []


def _collect(uri: str, **chosen: Any) -> None:
    """MLflow's own garbage collection. It prints to stdout, where only our JSON belongs.

    The command `mlflow gc --run-ids` would also remove every deleted experiment, however young, so the function behind
    it is called.
    """
    from mlflow.cli import _gc_tracking_resources
    from mlflow.tracking._tracking_service.utils import _get_store

    everything: dict[str, Any] = {
        "run_ids": None, "experiment_ids": None, "logged_model_ids": None, "older_than": None, "time_delta": 0,
        "skip_experiments": False, "skip_logged_models": False,
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        _gc_tracking_resources(backend_store=_get_store(uri), **everything | chosen)


def _remove_empty_folders(client: "MlflowClient", doomed: Doomed) -> None:
    """MLflow deletes files and leaves the folders of runs and models."""
    for experiment in client.search_experiments():
        if (root := local_folder(experiment.artifact_location)) is not None:
            folders = [root / run for run in doomed.runs] + [root / "models" / model for model in doomed.models]
            for folder in folders:
                with contextlib.suppress(OSError):  # not there, or not empty
                    folder.rmdir()


def _shrink(database: Path) -> None:
    """Gives free pages back to the file system, unless somebody is using the database."""
    with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(database, timeout=2)) as db:
        pages, free = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
        if free > SHRINKS_FROM * pages:
            db.execute("VACUUM")


def _delete_artifacts(client: "MlflowClient", uri: str, doomed: Doomed) -> list[str]:
    """What a client can delete of a server: the artifacts. The records stay until the server's owner collects them."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    if not doomed.runs:
        return []
    for run_id in doomed.runs:
        get_artifact_repository(client.get_run(run_id).info.artifact_uri, tracking_uri=uri).delete_artifacts()
    stays = "their records, and the files of their models, go when `mlflow gc` runs on the tracking server"
    return [f"{len(doomed.runs)} runs are deleted; {stays}."]


def size_at(uri: str | None) -> int | None:
    """Bytes of artifacts in a local folder; None if they lie elsewhere."""
    folder = local_folder(uri)
    return None if folder is None else size_of(folder)


def local_folder(uri: str | None) -> Path | None:
    """The existing folder of this machine that a path or a file URI names; None for anything else.

    Examples:
        >>> local_folder("s3://bucket/models") is None
        True
    """
    parts = urlsplit(uri or "")
    folder = Path(url2pathname(parts.path)) if parts.scheme in ("", "file") and parts.path else None
    return folder if folder is not None and folder.exists() else None
