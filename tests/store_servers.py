"""Servers that keep tables, one of each for a whole session: PostgreSQL, MariaDB, and one that speaks S3."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import Request, urlopen

import polars as pl
import pytest

BUCKET = "tables"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that an unprivileged user may enter, too: databases refuse to run as root."""
    made = Path(tempfile.mkdtemp(prefix="varjepa-stores-"))
    made.chmod(0o777)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(open_folder: Path) -> Iterator[str]:
    """URI of a PostgreSQL database, with the password in it."""
    from varjepa.tasks.servers.postgres import postgres, program

    if program("initdb") is None or program("postgres") is None:
        pytest.skip("there is no PostgreSQL on this machine")
    folder = open_folder / "postgresql"
    folder.mkdir(mode=0o755)
    before = os.environ.get("PGPASSWORD")
    with postgres(folder, free_port()) as uri:
        password = (folder / "password").read_text()
        os.environ.pop("PGPASSWORD")
        if before is not None:
            os.environ["PGPASSWORD"] = before
        yield f"{uri.replace('@', f':{password}@')}/postgres"


@pytest.fixture(scope="session")
def mariadb_server(open_folder: Path) -> Iterator[str]:
    """URI of a MariaDB database."""
    import pymysql

    server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    install = shutil.which("mariadb-install-db")
    if server is None or install is None:
        pytest.skip("there is no MariaDB on this machine")
    from varjepa.tasks.processes.child import Child, as_user

    users = {entry.pw_name for entry in pwd.getpwall()}
    owner = None if os.geteuid() else ("mysql" if "mysql" in users else "nobody")
    folder, port = open_folder / "mariadb", free_port()
    folder.mkdir()
    if owner is not None:
        shutil.chown(folder, owner)
    common = ["--no-defaults", f"--datadir={folder / 'data'}"]
    installed = [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(installed, check=True, capture_output=True, **as_user(owner))
    options = ["--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder / 'socket'}",
               f"--pid-file={folder / 'pid'}", "--innodb-buffer-pool-size=32M"]  # fmt: skip
    with Child("MariaDB", [server, *common, *options], open_folder / "mariadb.log", owner=owner) as child:
        deadline = time.monotonic() + 30
        while True:
            try:
                with pymysql.connect(host="127.0.0.1", port=port, user="root") as connection:
                    connection.cursor().execute("CREATE DATABASE shop CHARACTER SET utf8mb4")
                break
            except pymysql.OperationalError:
                assert child.runs, child.last_words()
                assert time.monotonic() < deadline, child.last_words()
                time.sleep(0.1)
        yield f"mysql://root@127.0.0.1:{port}/shop"


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server that speaks S3."""
    from varjepa.tasks.processes.child import Child

    port, log = free_port(), tmp_path_factory.mktemp("s3") / "log"
    # A process of its own: threads of a server disturb pytest, whose parser is not made for them in Python 3.11.
    with Child("S3", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], log) as child:
        deadline = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert child.runs, child.last_words()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> "S3":
    """A bucket of that server, with its address and credentials in the environment."""
    variables = {"AWS_ENDPOINT_URL": s3_server, "AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "hush",
                 "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return S3(s3_server)


class S3:
    """A bucket to put files into.

    Args:
        endpoint: of the server.
    """

    def __init__(self, endpoint: str) -> None:
        import boto3

        self.endpoint, self.client = endpoint, boto3.client("s3", endpoint_url=endpoint)
        self.client.create_bucket(Bucket=BUCKET)

    def put(self, key: str, content: bytes) -> str:
        """Stores an object and returns its URI."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)
        return f"s3://{BUCKET}/{key}"

    def put_parquet(self, key: str, frame: pl.DataFrame) -> str:
        """Stores a table and returns its URI."""
        from io import BytesIO

        stream = BytesIO()
        frame.write_parquet(stream)
        return self.put(key, stream.getvalue())

    def get(self, key: str) -> bytes:
        """The content of an object."""
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    @contextmanager
    def denied(self) -> Iterator[None]:
        """During the block nobody may read or write anything."""
        self._let_pass("0")
        try:
            yield
        finally:
            self._let_pass("inf")

    def _let_pass(self, calls: str) -> None:
        """How many calls the server still answers without looking at the account."""
        plain = {"Content-Type": "text/plain"}
        urlopen(Request(f"{self.endpoint}/moto-api/reset-auth", calls.encode(), plain)).close()

    def keys(self, prefix: str = "") -> list[str]:
        """Keys of all objects."""
        listed = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", [])]
