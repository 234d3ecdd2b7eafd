"""A PostgreSQL server with its data in a folder. The data is kept for the next start."""

import os
import pwd
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import urlsplit

from varjepa.errors import SetupError
from varjepa.redaction import has_secret, remember_secret
from varjepa.tasks.processes.child import HOST, Child, as_user

USER = "varjepa"
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin")
"""Usual folders of PostgreSQL programs that are not on the PATH."""

STARTUP_SECONDS = 60
INSTALL = "Install PostgreSQL (Debian: `apt-get install postgresql`; macOS: `brew install postgresql`)"


def program(name: str) -> Path | None:
    """A program of PostgreSQL: on the PATH, otherwise the newest in the usual folders; None if there is none."""
    on_path = shutil.which(name)
    if on_path is not None:
        return Path(on_path)
    places = [path for pattern in PLACES for path in Path("/").glob(f"{pattern[1:]}/{name}")]
    return max(places, key=_release, default=None)


def _release(path: Path) -> tuple[int, ...]:
    """Numbers in the path, for sorting by version: 15 comes after 9."""
    digits = "".join(c if c.isdigit() else " " for c in str(path))
    return tuple(int(number) for number in digits.split())


@contextmanager
def postgres(folder: Path, port: int) -> Iterator[str]:
    """Runs a server on 127.0.0.1 with its data in `folder`, and yields its URI, without a password.

    The password is generated at the first start and stored in `folder`/password, readable only by its owner. It is set
    as the environment variable PGPASSWORD, which drivers of PostgreSQL read.

    Raises:
        SetupError: PostgreSQL is not installed, cannot run as this user, or does not start.
    """
    programs = [program("initdb"), program("postgres")]
    if None in programs:
        raise SetupError(
            "PostgreSQL is not installed on this machine.",
            fix=f"{INSTALL}, or use a server on another machine: --database postgresql://USER@HOST.",
        )
    initdb, server = (str(path) for path in programs)
    data, owner = folder / "postgres", _owner(folder)
    password = _password(folder)
    if not (data / "PG_VERSION").is_file():
        _initialise(initdb, data, password, owner)
    os.environ["PGPASSWORD"] = password
    remember_secret(password)
    options = {"listen_addresses": HOST, "port": str(port), "unix_socket_directories": ""}
    command = [
        server,
        "-D",
        str(data),
        *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
    ]
    uri = f"postgresql://{USER}@{HOST}:{port}"
    with Child("PostgreSQL", command, folder / "postgres.log", owner=owner, quick=True) as child:
        deadline = time.monotonic() + STARTUP_SECONDS
        while (trouble := connection_trouble(uri)) is not None:
            if not child.runs or time.monotonic() > deadline:
                raise SetupError(
                    f"PostgreSQL does not start: {child.last_words() or trouble}.", fix=f"See {child.log}."
                )
            time.sleep(0.1)
        yield uri


def ensure_databases(server: str, names: tuple[str, ...]) -> None:
    """Creates the databases that do not exist yet.

    Args:
        server: URI of the server, without a database.
        names: of the databases.

    Raises:
        SetupError: the server refuses.
    """
    psycopg2 = driver()
    try:
        connection = psycopg2.connect(f"{server}/postgres", connect_timeout=10)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database")
            existing = {row[0] for row in cursor.fetchall()}
            for name in names:
                if name not in existing:
                    cursor.execute(f'CREATE DATABASE "{name}"')
        connection.close()
    except psycopg2.Error as error:
        raise SetupError(
            f"The database server {server} cannot be used: {' '.join(str(error).split())}.",
            fix="Check --database. Put the password into the environment variable PGPASSWORD or into ~/.pgpass.",
        ) from error


def connection_trouble(server: str) -> str | None:
    """Why the connection to a server fails; None if it succeeds."""
    psycopg2 = driver()
    try:
        psycopg2.connect(f"{server}/postgres", connect_timeout=5).close()
    except psycopg2.OperationalError as error:
        return " ".join(str(error).split())
    return None


def driver() -> Any:
    """The driver module for PostgreSQL.

    Raises:
        SetupError: it is not installed.
    """
    try:
        import psycopg2
    except ModuleNotFoundError as error:
        raise SetupError("The PostgreSQL driver is not installed.", fix="pip install 'varjepa[postgres]'") from error
    return psycopg2


def require_no_password(uri: str) -> str:
    """The URI of a server, without a slash at the end.

    Raises:
        SetupError: it is not a PostgreSQL URI, names a database, or contains a password.
    """
    parts = urlsplit(uri)
    if not parts.scheme.startswith("postgresql") or not parts.netloc or parts.path.strip("/"):
        raise SetupError(
            "--database is not the URI of a PostgreSQL server.", expected="Expected postgresql://USER@HOST:PORT."
        )
    if has_secret(uri):
        raise SetupError(
            "--database contains a password, which every user of this machine could read.",
            fix="Put it into the environment variable PGPASSWORD or into ~/.pgpass.",
        )
    return f"postgresql://{parts.netloc}"


def _owner(folder: Path) -> str | None:
    """The user to run the server as, because PostgreSQL refuses to run as root; None means the current user.

    Raises:
        SetupError: that user has no access to the folder.
    """
    if os.geteuid():
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    owner = "postgres" if "postgres" in users else "nobody"
    entered = subprocess.run(["test", "-x", str(folder)], check=False, **as_user(owner))  # noqa: S603, S607
    if entered.returncode:
        raise SetupError(
            f"PostgreSQL cannot run as root, and the user {owner} has no access to {folder}.",
            fix="Run the command as an ordinary user, or choose a --folder that all users can access (in /srv, say).",
        )
    return owner


def _password(folder: Path) -> str:
    """The password of the server; generated if there is none yet."""
    file = folder / "password"
    if not file.is_file() or not file.stat().st_size:  # empty: the process was killed before it had written
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24), encoding="utf-8")
    return file.read_text(encoding="utf-8")


def _initialise(initdb: str, data: Path, password: str, owner: str | None) -> None:
    """Creates the data folder, under another name until it is complete: half of one looks like a whole one."""
    unfinished = data.with_name(f"{data.name}.unfinished")
    if unfinished.exists():  # of a process that was killed
        shutil.rmtree(unfinished)
    unfinished.mkdir(mode=0o700)
    if owner is not None:
        shutil.chown(unfinished, owner)
    options = ["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8"]
    with NamedTemporaryFile("w", dir=data.parent) as file:
        file.write(password)
        file.flush()
        if owner is not None:
            shutil.chown(file.name, owner)
        initialised = subprocess.run(  # noqa: S603
            [initdb, "-D", str(unfinished), *options, "--pwfile", file.name],
            capture_output=True, text=True, check=False, **as_user(owner),
        )  # fmt: skip
    if initialised.returncode:
        shutil.rmtree(unfinished)
        reason = " ".join(initialised.stderr.split())[-500:]
        raise SetupError(f"PostgreSQL cannot create its data folder: {reason}.", fix=INSTALL + ".")
    unfinished.rename(data)
