"""Locks around a tracking store: those that all who share it respect, and those of one machine."""

import getpass
import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from tasks.steps.log import log
from tasks.steps.reuse import digest
from tasks.tracking.uris import database_file, tracking_uri
from varjepa.config import RetrainConfig
from varjepa.errors import SetupError

PATIENCE = 600.0
"""Seconds to wait for another process; what is done under a shared lock takes a few."""

TAKE = {"postgresql": "SELECT pg_try_advisory_lock(:key)", "mysql": "SELECT GET_LOCK(:key, 0)"}
GIVE = {"postgresql": "SELECT pg_advisory_unlock(:key)", "mysql": "SELECT RELEASE_LOCK(:key)"}


def host_lock(uri: str, what: str) -> FileLock:
    """A lock among the processes of this machine: beside a SQLite database, else in the temporary folder."""
    database = database_file(uri)
    if database is not None:
        return FileLock(database.with_name(f"{database.stem}-{digest(what)}.lock"))
    return FileLock(Path(tempfile.gettempdir()) / f"varjepa-{getpass.getuser()}-{digest(uri, what)}.lock")


@contextmanager
def store_lock(uri: str, what: str) -> Iterator[None]:
    """Nobody else who takes the lock of this name works on the store meanwhile.

    PostgreSQL and MySQL give an advisory lock, which ends with its connection, however this process ends. A SQLite
    database has a file beside it. An MLflow server has no locks to give: a file keeps the processes of this machine
    apart, and those of others must look again right before they change something.

    Raises:
        SetupError: somebody has held the lock for `PATIENCE` seconds.
    """
    dialect = uri.split(":", 1)[0].split("+", maxsplit=1)[0]
    if dialect in TAKE:
        with _server_lock(uri, dialect, what):
            yield
        return
    try:
        with host_lock(uri, what).acquire(timeout=PATIENCE):
            yield
    except Timeout:
        raise _held(what) from None


@contextmanager
def registry_lock(uri: str, name: str) -> Iterator[None]:
    """Nobody else who takes this lock changes versions and aliases of the registered model `name` meanwhile.

    Raises:
        SetupError: see `store_lock`.
    """
    with store_lock(uri, f'registry of "{name}"'):
        yield


@contextmanager
def _server_lock(uri: str, dialect: str, what: str) -> Iterator[None]:
    # PostgreSQL takes 64 bits, MySQL a text.
    bits = hashlib.sha256(f"varjepa {what}".encode()).digest()
    key = int.from_bytes(bits[:8], signed=True) if dialect == "postgresql" else bits.hex()[:40]
    engine = create_engine(uri, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        _wait(connection, dialect, key, what)
        try:
            yield
        finally:
            connection.execute(text(GIVE[dialect]), {"key": key})


def _wait(connection: Connection, dialect: str, key: int | str, what: str) -> None:
    began = time.monotonic()
    while not connection.execute(text(TAKE[dialect]), {"key": key}).scalar():
        if time.monotonic() - began > PATIENCE:
            raise _held(what)
        time.sleep(0.05)


def _held(what: str) -> SetupError:
    return SetupError(
        f"The {what} of the tracking store has been locked by another process for {PATIENCE:.0f} seconds.",
        fix="End the process that holds it, then run the same command again.",
    )


@contextmanager
def model_lock(config: RetrainConfig, *, wait: bool = True) -> Iterator[bool]:
    """Lets one run per registered model and machine work at a time.

    Args:
        config: of the job.
        wait: for the other run to end; otherwise the block learns that it is not its turn.

    Yields:
        Whether it is this run's turn.
    """
    lock = host_lock(tracking_uri(config.tracking), f"model {config.registry.name}")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if not wait:
            yield False
            return
        log.info("another run for the model %s is at work, this one waits", config.registry.name)
        lock.acquire()
    try:
        yield True
    finally:
        lock.release()
