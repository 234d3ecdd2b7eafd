"""Addresses of tracking stores."""

import os
from pathlib import Path

from varjepa.config.load import validated
from varjepa.config.operations import TrackingSection
from varjepa.errors import SetupError
from varjepa.tasks.processes.accounts import TRACKING, adopt_accounts

SQLITE, POSTGRES = "sqlite:///", "postgresql"


def tracking_uri(tracking: TrackingSection) -> str:
    """The tracking store of runs. The environment variable overrides the configuration, as in MLflow."""
    adopt_accounts()
    return normal_uri(os.environ.get(TRACKING) or tracking.uri)


def normal_uri(uri: str) -> str:
    """The one spelling of a store: a SQLite database by its absolute path, without options of its driver.

    Locks and caches are named by it, so two spellings of a store must not give two of them.

    Raises:
        SetupError: the URI names a SQLite database without a file, or one that no URI can name.

    Examples:
        >>> normal_uri("sqlite:////data/../runs.db?timeout=60")
        'sqlite:////runs.db'
        >>> normal_uri("https://tracking.example.org/")
        'https://tracking.example.org'
    """
    database = database_file(uri)
    if database is None:
        return uri.rstrip("/")
    place = os.path.abspath(database)  # noqa: PTH100 (no links)
    if "?" in place:
        raise SetupError(
            f"The tracking store cannot lie in {place}: in the address of a database, options follow a question mark.",
            fix="Rename the folder, work in another one, or set MLFLOW_TRACKING_URI.",
        )
    return f"{SQLITE}{place}"


def database_file(uri: str) -> Path | None:
    """The file behind a SQLite URI, or None.

    Raises:
        SetupError: a SQLite URI without a file; MLflow would keep a database in memory, which is lost at the end.

    Examples:
        >>> database_file("sqlite:///mlruns/mlflow.db").as_posix()
        'mlruns/mlflow.db'
    """
    if not uri.startswith("sqlite:"):
        return None
    file = uri.removeprefix(SQLITE).partition("?")[0] if uri.startswith(SQLITE) else ""
    if file in ("", "/", ":memory:"):
        raise SetupError(
            f"The tracking store {uri} names no file.",
            expected="Expected sqlite:///FOLDER/FILE.db, with three slashes.",
        )
    return Path(file)


def store(uri: str | None) -> str:
    """The tracking store of a command without a config; `uri` if given.

    Raises:
        ConfigError: `uri` holds a password, which others would read in the list of processes.
        SetupError: it names a SQLite database without a file.
    """
    default = tracking_uri(TrackingSection())
    if uri is None or normal_uri(uri) == default:  # the environment may hold a password; steps pass its URI on
        return default
    return normal_uri(validated(TrackingSection, {"uri": uri}, "--tracking-uri").uri)
