"""Addresses of tracking stores."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from varjepa.config.operations import TrackingSection

SQLITE, POSTGRES = "sqlite:///", "postgresql"


def tracking_uri(tracking: TrackingSection) -> str:
    """The tracking store of runs. The environment variable overrides the configuration, as in MLflow."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or tracking.uri
    database = database_file(uri)
    return uri if database is None else f"{SQLITE}{database.absolute()}"


def database_file(uri: str) -> Path | None:
    """The file behind a SQLite URI, or None.

    Examples:
        >>> database_file("sqlite:///mlruns/mlflow.db").as_posix()
        'mlruns/mlflow.db'
    """
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def hidden_credentials(uri: str) -> str:
    """The URI without user name and password.

    Examples:
        >>> hidden_credentials("postgresql://me:secret@host/db")
        'postgresql://***@host/db'
        >>> hidden_credentials("postgresql://host/db?user=me&password=secret")
        'postgresql://host/db?user=me&password=***'
    """
    netloc = urlsplit(uri).netloc
    shown = uri.replace(netloc, "***@" + netloc.rpartition("@")[2]) if "@" in netloc else uri
    return re.sub(r"(?<=password=)[^&]+", "***", shown)


def store(uri: str | None) -> str:
    """The tracking store of a command without a config; `uri` if given."""
    return tracking_uri(TrackingSection()) if uri is None else uri
