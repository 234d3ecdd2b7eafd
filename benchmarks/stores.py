"""Twenty million rows from an object store and from a database to the end of the fit, in bounded memory.

The servers are real and run on this machine: one that speaks S3 (moto), and PostgreSQL. Their memory is not counted.
Then each is stopped in the middle of a read, started again, and read again.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.harness import Figure
from benchmarks.preprocessing import LABEL, made_batch
from varjepa.tasks.processes.child import HOST, Child
from varjepa.tasks.servers.postgres import postgres

ROWS = 20_000_000
PART = 500_000
"""Rows of a file in the bucket, and of a batch on the way into the database."""
COLUMNS = ("normal0", "normal1", "skewed0", "price", "height", "age", "visits", "colour", "region", "product", LABEL)
BUCKET = "rows"
ROOT = Path(__file__).parents[1]
S3_PORT, POSTGRES_PORT = 51_701, 51_702
KILL_AFTER = 6.0
"""Seconds of a read after which its server is stopped."""
CREDENTIALS = {"AWS_ENDPOINT_URL": f"http://{HOST}:{S3_PORT}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
               "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip


def run(rows: int = ROWS) -> list[Figure]:
    """Fills both servers, reads them, stops them in the middle of a read, reads them again."""
    folder = Path(tempfile.mkdtemp(prefix="varjepa-stores-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user than root
    os.environ |= CREDENTIALS
    try:
        return [*_measured("S3", _bucket, f"s3://{BUCKET}/table/", folder, rows),
                *_measured("PostgreSQL", _database, "${ROWS_DATABASE}#rows", folder, rows)]  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(name: str, serve: Any, place: str, folder: Path, rows: int) -> list[Figure]:
    millions = f"{name}, {rows / 1e6:g} million rows"
    home = folder / f"read {name}"
    home.mkdir()
    with serve(folder, rows) as stop:
        told = _read(place, home)
        again = _read(place, home)
        shutil.rmtree(home / "mlruns")
        broken = _interrupted(place, home, stop)
    left = [file for file in home.rglob("*") if file.is_file() and file.suffix != ".lock"]
    return [
        Figure(f"{millions}: ingest", told["ingest"], "s"),
        Figure(f"{millions}: split, fit and encode", told["fit"], "s"),
        Figure(f"{millions}: peak memory of the process after the ingest", told["ingest GiB"], "GiB"),
        Figure(f"{millions}: peak memory of the process at the end of the fit", told["peak GiB"], "GiB",
               asked="under 1.5"),
        Figure(f"{millions}: ingest again, the snapshot is reused", again["ingest"], "s"),
        Figure(f"{millions}: the server stopped in the middle: exit code", broken["code"], "", asked="2"),
        Figure(f"{millions}: ... files left behind", len(left), "", asked="0"),
    ]  # fmt: skip


def _read(place: str, home: Path) -> dict[str, float]:
    done = subprocess.run([*COMMAND, place], cwd=home, env=_environment(), check=True, capture_output=True, text=True)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def _interrupted(place: str, home: Path, stop: Any) -> dict[str, Any]:
    """Reads while the server is stopped: the exit code and the words."""
    reader = subprocess.Popen([*COMMAND, place], cwd=home, env=_environment(), stderr=subprocess.PIPE, text=True)
    time.sleep(KILL_AFTER)
    if reader.poll() is not None:
        raise RuntimeError("the read ended before its server was stopped: take more rows")
    stop()
    _, words = reader.communicate(timeout=300)
    print(words.strip().splitlines()[-1], file=sys.stderr)
    return {"code": reader.returncode}


COMMAND = [sys.executable, "-m", "benchmarks.stores", "read"]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def _batches(rows: int) -> Iterator[pl.DataFrame]:
    for first in range(0, rows, PART):
        yield made_batch(first, min(PART, rows - first)).select(COLUMNS)


@contextmanager
def _bucket(folder: Path, rows: int) -> Iterator[Any]:
    """A bucket with the rows; yields what stops its server."""
    import boto3

    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(S3_PORT)]
    with Child("S3", command, folder / "s3.log") as server:
        server.require_up(CREDENTIALS["AWS_ENDPOINT_URL"])
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        for number, frame in enumerate(_batches(rows)):
            stream = BytesIO()
            frame.write_parquet(stream)
            client.put_object(Bucket=BUCKET, Key=f"table/{number:04}.parquet", Body=stream.getvalue())
        yield server.process.kill


@contextmanager
def _database(folder: Path, rows: int) -> Iterator[Any]:
    """A database with the rows; yields what stops its server."""
    from adbc_driver_postgresql import dbapi

    with postgres(folder, POSTGRES_PORT) as server:
        os.environ["ROWS_DATABASE"] = f"{server}/postgres"
        with closing(dbapi.connect(f"{server}/postgres")) as connection, closing(connection.cursor()) as cursor:
            for frame in _batches(rows):
                cursor.adbc_ingest("rows", frame.to_arrow(compat_level=pl.CompatLevel.oldest()), mode="create_append")
            connection.commit()
        pid = (folder / "postgres" / "postmaster.pid").read_text(encoding="utf-8").split()[0]
        yield lambda: os.kill(int(pid), 3)  # SIGQUIT: PostgreSQL ends at once, as in a crash


def read(place: str) -> None:
    """From a place to the end of the fit, in this process; prints seconds and memory."""
    from varjepa.config import parse_config
    from varjepa.tasks.retrain.ingest import ingest
    from varjepa.tasks.retrain.preprocess import preprocess

    config = parse_config({"data": {"path": place, "label": LABEL, "split": {"by": "hash"}}})
    told: dict[str, float] = {}
    started = time.perf_counter()
    snapshot = ingest.fn(config)
    told |= {"ingest": time.perf_counter() - started, "ingest GiB": _peak(), "rows": snapshot.rows}
    started = time.perf_counter()
    preprocess.fn(snapshot.path, config)
    told |= {"fit": time.perf_counter() - started, "peak GiB": _peak()}
    print(json.dumps(told))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    from varjepa.flows.cli import guarded

    if sys.argv[1:2] == ["read"]:
        sys.exit(guarded(lambda: read(sys.argv[2]), []))
    for figure in run(int(sys.argv[1])):
        print(figure)
