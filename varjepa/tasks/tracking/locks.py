"""Locks for a tracking store: among all processes that share it, and among the processes of one machine."""

import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from varjepa.config import RetrainConfig
from varjepa.errors import SetupError
from varjepa.tasks.steps.files import NoRoomError, disk_trouble
from varjepa.tasks.steps.reuse import digest
from varjepa.tasks.steps.turns import acquire, in_turn, wait_for
from varjepa.tasks.tracking.uris import database_file, tracking_uri

PATIENCE = 600.0
"""Seconds to wait for another process. Work under a shared lock takes a few seconds."""

TAKE = {"postgresql": "SELECT pg_try_advisory_lock(:key)", "mysql": "SELECT GET_LOCK(:key, 0)"}
GIVE = {"postgresql": "SELECT pg_advisory_unlock(:key)", "mysql": "SELECT RELEASE_LOCK(:key)"}


def host_lock(uri: str, what: str) -> FileLock:
    """A lock among the processes of this machine, of all users: a file beside a SQLite database, otherwise in the
    temporary folder.

    Raises:
        SetupError: the file of the lock cannot be opened.
        NoRoomError: its disk is full or read-only.
    """
    database = database_file(uri)
    if database is not None:
        return _shared_lock(database.with_name(f"{database.stem}-{digest(what)}.lock"))
    return _shared_lock(Path(tempfile.gettempdir()) / f"varjepa-{digest(uri, what)}.lock")


def _shared_lock(path: Path) -> FileLock:
    """A lock file for everybody who may write to its folder, whatever the umask of its first user."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never through a link: in a temporary folder others may have put it there.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _open_to_folder(file, path.parent)
        finally:
            os.close(file)
    except OSError as error:
        if (how := disk_trouble(error)) is not None:
            raise NoRoomError(path.parent, how) from error
        raise SetupError(
            f"The lock file {path} cannot be opened: {error.strerror}.",
            fix="Ask its owner to remove it or to open the folder to the group, or use another tracking store.",
        ) from error
    # The file keeps its mode: it is there already.
    return FileLock(path, mode=stat.S_IMODE(path.stat().st_mode))


def _open_to_folder(file: int, folder: Path) -> None:
    """Gives a lock file the group of its folder, and whoever may write there may open it; if it is ours."""
    place = folder.stat()
    if os.fstat(file).st_uid != os.geteuid():
        return
    with suppress(OSError):  # not a member of that group
        os.fchown(file, -1, place.st_gid)
    os.fchmod(file, 0o644 | (place.st_mode & 0o022))


@contextmanager
def store_lock(uri: str, what: str) -> Iterator[None]:
    """Holds the lock of this name during the block.

    What the lock covers depends on the store:

    - PostgreSQL and MySQL: an advisory lock among all clients. It ends with its connection, even if this process is
      killed.
    - SQLite: a lock file beside the database.
    - MLflow server: it has no locks. A lock file covers the processes of this machine. Processes on other machines must
      check the state again right before they change it.

    Raises:
        SetupError: another process has held the lock for `PATIENCE` seconds.
    """
    dialect = uri.split(":", 1)[0].split("+", maxsplit=1)[0]
    if dialect in TAKE:
        with _server_lock(uri, dialect, what):
            yield
        return
    lock = host_lock(uri, what)
    try:
        acquire(lock, _holder(what), soon=True, patience=PATIENCE)
    except Timeout:
        raise _held(what) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def registry_lock(uri: str, name: str) -> Iterator[None]:
    """Holds the lock for changes of versions and aliases of the registered model `name`.

    Raises:
        SetupError: see `store_lock`.
    """
    with store_lock(uri, f'registry of "{name}"'):
        yield


@contextmanager
def _server_lock(uri: str, dialect: str, what: str) -> Iterator[None]:
    # The key of a lock is a 64-bit integer in PostgreSQL and a text in MySQL.
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
    def taken(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not connection.execute(text(TAKE[dialect]), {"key": key}).scalar():
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        return True

    if not wait_for(taken, _holder(what), soon=True, patience=PATIENCE):
        raise _held(what)


def _holder(what: str) -> str:
    return f"another process holds the {what} of the tracking store"


def _held(what: str) -> SetupError:
    return SetupError(
        f"The {what} of the tracking store has been locked by another process for {PATIENCE:.0f} seconds.",
        fix="Stop the process that holds the lock, then run the same command again.",
    )


@contextmanager
def model_lock(config: RetrainConfig, *, wait: bool = True) -> Iterator[bool]:
    """Holds the lock that allows one run per registered model and machine at a time.

    Args:
        config: of the job.
        wait: wait for another run to end; otherwise yield False at once.

    Yields:
        Whether the lock is held.
    """
    lock = host_lock(tracking_uri(config.tracking), f"model {config.registry.name}")
    if wait:
        with in_turn(lock, f"another run for the model {config.registry.name} is in progress"):
            yield True
        return
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
