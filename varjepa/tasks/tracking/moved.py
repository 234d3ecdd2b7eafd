"""Artifacts follow their database: MLflow keeps their absolute places, which a moved project folder leaves behind."""

import sqlite3
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from varjepa.tasks.steps.log import log

PLACES = (
    ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"), ("model_versions", "source"),
)  # fmt: skip
"""Tables and columns in which MLflow keeps places of artifacts."""

ARTIFACTS = "artifacts"
"""Folder of artifacts beside a database."""


def follow(database: Path) -> None:
    """Rewrites places of artifacts that lay beside a database and were moved together with it.

    A place is rewritten only if nothing lies there any more, and artifacts do lie beside the database. Call it under
    the lock of the store's tables.

    Args:
        database: of MLflow, with its tables.
    """
    home = (database.absolute().parent / ARTIFACTS).as_uri()
    if not folder_of(home).is_dir():
        return
    with sqlite3.connect(database, timeout=60) as connection:
        for (old,) in connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall():
            if old and old != home and _left_behind(old):
                rewrite(connection, old, home)
                log.warning(
                    "artifacts: %s has moved to %s, together with the database", folder_of(old), folder_of(home)
                )
    connection.close()


def folder_of(uri: str) -> Path:
    """The folder behind a `file:` URI or a plain path."""
    return Path(url2pathname(urlsplit(uri).path) if uri.startswith("file:") else uri)


def is_local(uri: str) -> bool:
    """Whether artifacts lie in a folder of this machine."""
    return uri.startswith("file:") or "://" not in uri


def exists(folder: Path) -> bool:
    """Whether there is a folder; also where this user may not look."""
    try:
        return folder.exists()
    except OSError:
        return True


def _left_behind(uri: str) -> bool:
    folder = folder_of(uri)
    return is_local(uri) and folder.name == ARTIFACTS and not exists(folder)


def rewrite(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Replaces the beginning of all places in a database.

    Args:
        connection: to the database.
        old: URI of a folder.
        new: URI of another.
    """
    for table, column in PLACES:
        connection.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR substr({column}, 1, ?) = ?",  # noqa: S608 (names of our own)
            (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
        )
