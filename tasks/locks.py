"""A lock around what one registered model's versions and aliases depend on, for all who share the registry."""

import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from tasks.tracking import database_file
from varjepa.errors import SetupError

PATIENCE = 600.0
"""Seconds to wait for another process; what is done under the lock takes a few."""

TAKE = {"postgresql": "SELECT pg_try_advisory_lock(:key)", "mysql": "SELECT GET_LOCK(:key, 0)"}
GIVE = {"postgresql": "SELECT pg_advisory_unlock(:key)", "mysql": "SELECT RELEASE_LOCK(:key)"}


@contextmanager
def registry_lock(uri: str, name: str) -> Iterator[None]:
    """Nobody else who takes this lock changes versions and aliases of `name` meanwhile.

    A SQLite registry is locked by a file beside the database, PostgreSQL and MySQL by an advisory lock of the server,
    which ends with its connection. An MLflow server has no locks to give: a file in the temporary folder keeps the
    processes of this machine apart, and those of others must look again right before they change something.

    Raises:
        SetupError: somebody has held the lock for `PATIENCE` seconds.
    """
    digest = hashlib.sha256(f"varjepa registry {name}".encode()).digest()
    dialect, database = uri.split(":", 1)[0].split("+", maxsplit=1)[0], database_file(uri)
    if dialect in TAKE:
        with _server_lock(uri, dialect, digest):
            yield
        return
    beside = database.absolute().parent if database else Path(tempfile.gettempdir())
    where = hashlib.sha256(digest + uri.encode()).hexdigest()[:12]
    try:
        with FileLock(beside / f"varjepa-registry-{where}.lock", timeout=PATIENCE):
            yield
    except Timeout:
        raise _held(name) from None


@contextmanager
def _server_lock(uri: str, dialect: str, digest: bytes) -> Iterator[None]:
    # PostgreSQL takes 64 bits, MySQL a text.
    key = int.from_bytes(digest[:8], signed=True) if dialect == "postgresql" else digest.hex()[:40]
    engine = create_engine(uri, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        _wait(connection, dialect, key)
        try:
            yield
        finally:
            connection.execute(text(GIVE[dialect]), {"key": key})


def _wait(connection: Connection, dialect: str, key: int | str) -> None:
    began = time.monotonic()
    while not connection.execute(text(TAKE[dialect]), {"key": key}).scalar():
        if time.monotonic() - began > PATIENCE:
            raise _held(str(key))
        time.sleep(0.05)


def _held(name: str) -> SetupError:
    return SetupError(
        f'The registry of "{name}" has been locked by another process for {PATIENCE:.0f} seconds.',
        fix="End the process that holds it, then run the same command again.",
    )
