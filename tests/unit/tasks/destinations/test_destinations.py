"""Rows in every kind of place: created, appended, replaced, and never half there."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.store_servers import BUCKET, S3
from varjepa.errors import ConfigError, DataError, InterruptedReadError
from varjepa.tasks.destinations.destination import destination, holds_arrays
from varjepa.tasks.sources.address import require_place
from varjepa.tasks.sources.open_table import opened_table
from varjepa.tasks.sources.run_day import planned_day

pytestmark = pytest.mark.slow  # servers start

ROWS = pl.DataFrame({
    "row": pl.Series([0, 1, 2], dtype=pl.Int64),
    'odd "name".low': [0.5, None, 2.0],
    "prediction": ["yes", "no; \"maybe\" 100%", None],
    "accept": [True, False, None],
    "draw": pl.Series([1, 1, 2], dtype=pl.Int32),
})  # fmt: skip
ARRAYS = ROWS.with_columns(
    pl.Series("embedding", [[0.1, 0.2]] * 3, dtype=pl.Array(pl.Float32, 2)), pl.Series("odd", [["a"], [], ["a", "b"]])
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=["postgres", "mariadb", "sqlite", "duckdb", "delta", "delta on s3"])
def table(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a table may be written that is not there yet."""
    name = f"scores_{time.time_ns()}"
    if request.param == "delta on s3":
        request.getfixturevalue("s3")
        return f"delta://s3://{BUCKET}/{name}"
    places = {"sqlite": f"sqlite:///{tmp_path}/shop.db", "duckdb": f"duckdb:///{tmp_path}/shop.duckdb"}
    if request.param == "delta":
        return f"delta://{tmp_path}/{name}"
    if request.param in ("postgres", "mariadb"):
        places[request.param] = request.getfixturevalue(f"{request.param}_server")
    monkeypatch.setenv("SHOP", places[request.param])
    return f"${{SHOP}}#{name}"


def write(out: str, *frames: pl.DataFrame, **options: bool) -> None:
    with destination(out, **options) as writer:
        for frame in frames:
            writer.write(frame)


def content(place: str) -> pl.DataFrame:
    data = require_place(place, {})
    with opened_table(data) as source:
        return source.frame.collect().sort("row")


def test_a_table_is_created_and_read_back(table: str) -> None:
    write(table, ROWS, ROWS.with_columns(pl.col("row") + 3))
    back = content(table)
    assert back["row"].to_list() == [0, 1, 2, 3, 4, 5]
    assert back[:3].select(ROWS.columns[:3]).equals(ROWS.select(ROWS.columns[:3]))
    assert back["accept"].cast(pl.Boolean)[:3].to_list() == [True, False, None]


def test_a_table_that_exists_is_kept_replaced_or_appended_to(table: str) -> None:
    write(table, ROWS)
    with pytest.raises(ConfigError, match=r"already exists.*--append.*--force"):
        write(table, ROWS)
    write(table, ROWS.with_columns(pl.col("row") + 3), append=True)
    assert content(table).height == 6
    with pytest.raises(ConfigError, match='no columns "new"'):
        write(table, ROWS.with_columns(new=1), append=True)
    assert content(table).height == 6
    write(table, ROWS.select("row", new="row"), force=True)
    assert content(table).columns == ["row", "new"]
    assert content(table).height == 3


def test_nothing_is_there_after_an_error_before_the_end(table: str) -> None:
    def fail() -> None:
        with destination(table, append=True) as writer:
            writer.write(ROWS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    write(table, ROWS)
    with pytest.raises(KeyboardInterrupt):
        fail()
    assert content(table).height == 3
    assert not list(Path("mlruns/work").glob("stage-*"))


def test_arrays_are_kept_where_they_can_be(table: str) -> None:
    kept = holds_arrays(table)
    write(table, ARRAYS if kept else ARRAYS.drop("embedding"))
    back = content(table)
    if kept:
        assert back["odd"].dtype == pl.String or back["odd"].to_list() == [["a"], [], ["a", "b"]]
    else:
        assert back["odd"].to_list() == ["a", None, "a; b"]  # blank text is a missing cell


@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv"])
def test_an_object_appears_when_it_is_complete(s3: S3, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("varjepa.tasks.destinations.objects.PART", 5 * 2**20)
    out = f"s3://{BUCKET}/whole/{name}"
    many = pl.DataFrame(
        {"row": pl.int_range(1_000_000, eager=True), "text": pl.int_range(1_000_000, eager=True).hash()}
    )
    with destination(out) as writer:
        writer.write(many)  # several parts
        assert s3.keys("whole/") == []
    assert content(out).equals(many.cast(content(out).schema))
    with pytest.raises(ConfigError, match=r"already exists.*--force"):
        write(out, ROWS)
    write(out, ROWS, force=True)
    assert content(out).height == 3
    with pytest.raises(ConfigError, match="is a file"):
        write(out, ROWS, append=True)
    s3.client.delete_object(Bucket=BUCKET, Key=f"whole/{name}")


def test_a_delta_folder_needs_no_scheme_once_it_is_one(tmp_path: Path, s3: S3) -> None:
    for place in (str(tmp_path / "lake"), f"s3://{BUCKET}/written/lake"):
        write(f"delta://{place}", ROWS)
        write(place, ROWS, append=True)
        assert content(place).height == 6


SQL = pytest.mark.parametrize("table", ["postgres", "mariadb", "sqlite", "duckdb"], indirect=True)


@SQL
def test_a_row_that_a_table_refuses_keeps_all_rows_out(table: str) -> None:
    run_sql(table, 'CREATE TABLE {} ("row" BIGINT CHECK ("row" < 30000), prediction TEXT)')
    many = pl.DataFrame({"row": pl.int_range(30_001, eager=True)}).with_columns(prediction=pl.lit("yes"))
    with pytest.raises(DataError, match="cannot be written"):
        write(table, many, append=True)
    assert content(table).height == 0
    write(table, many.head(5), append=True)
    assert content(table).height == 5


def run_sql(table: str, statement: str) -> None:
    """Runs a statement; `{}` in it stands for the table."""
    from sqlalchemy import make_url

    server, _, name = os.environ["SHOP"], *table.rpartition("#")[1:]
    url = make_url(server)
    connection: Any
    if url.drivername == "postgresql":
        import psycopg2

        connection = psycopg2.connect(server)
    elif url.drivername == "mysql":
        import pymysql

        connection = pymysql.connect(host=url.host, port=url.port, user=url.username, database=url.database)
        connection.cursor().execute("SET sql_mode = 'ANSI_QUOTES'")
    elif url.drivername == "sqlite":
        import sqlite3

        connection = sqlite3.connect(url.database)
    else:
        import duckdb

        connection = duckdb.connect(url.database)
    with closing(connection):
        connection.cursor().execute(statement.format(name))
        if url.drivername != "duckdb":
            connection.commit()


def test_a_killed_writer_leaves_the_old_rows(postgres_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    import psycopg2

    monkeypatch.setenv("SHOP", postgres_server)
    write("${SHOP}#killed", ROWS)
    script = "import polars as pl\nfrom varjepa.tasks.destinations.destination import destination\n"
    script += "with destination('${SHOP}#killed', append=True) as writer:\n"
    script += "    writer.write(pl.DataFrame({'row': [7, 8, 9]}))\n"
    with closing(psycopg2.connect(postgres_server)) as connection:
        cursor = connection.cursor()
        cursor.execute("LOCK TABLE killed IN SHARE MODE")  # readers may read, and the writer waits before its last row
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])}
        command = [sys.executable, "-c", script]
        child = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE)
        waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'killed'::regclass AND NOT granted"
        deadline = time.monotonic() + 60
        while cursor.execute(waiting) or not cursor.fetchone()[0]:
            assert child.poll() is None, child.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert list((tmp_path / "mlruns" / "work").glob("stage-*"))  # what it could not remove itself
    assert content("${SHOP}#killed").height == 3
    assert not list((tmp_path / "mlruns" / "work").glob("stage-*"))


@pytest.mark.parametrize(("out", "error", "words"), [
    ("postgresql://me:sesame@host/db#t", ConfigError, "contains a password"),
    ("postgresql://me@127.0.0.1:9/db#t", InterruptedReadError, "does not answer"),
    ("postgresql://me@127.0.0.1:9/db", ConfigError, "names no table"),
    ("s3://no-such-bucket/scores.parquet", DataError, "no-such-bucket"),
    (f"s3://{BUCKET}/scores.xlsx", ConfigError, "cannot be written"),
    ("https://host/scores.csv", ConfigError, "cannot be written"),
    ("scores.xlsx", ConfigError, "unknown file extension"),
])  # fmt: skip
def test_places_that_cannot_be_written(s3: S3, out: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        write(out, ROWS)
    assert "sesame" not in str(raised.value)


def test_a_name_may_hold_the_day(tmp_path: Path) -> None:
    write("scores-{{ run_date }}.csv", ROWS)
    assert [file.name for file in tmp_path.glob("*.csv")] == [f"scores-{planned_day()}.csv"]


def test_force_and_append_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="Expected one of them"):
        write("delta://lake", ROWS, force=True, append=True)


VECTORS = pl.DataFrame({
    "row": pl.Series([0, 1, 2], dtype=pl.Int64), 'odd "name".low': [0.5, None, 2.0],
    "vector": pl.Series([[0.0, 1.0], [2.0, 2.0], [9.0, 9.0]], dtype=pl.Array(pl.Float32, 2)),
    "long": pl.Series([[0.0] * 2001] * 3, dtype=pl.Array(pl.Float32, 2001)),
})  # fmt: skip


@pytest.fixture
def pgvector(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A table that is not there yet, in a database with the extension pgvector."""
    from adbc_driver_postgresql import dbapi

    with closing(dbapi.connect(postgres_server)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
        if not cursor.fetchone()[0]:
            pytest.skip("this PostgreSQL has no pgvector")
        cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.commit()
    monkeypatch.setenv("SHOP", postgres_server)
    return f"${{SHOP}}#vectors_{time.time_ns()}"


def test_arrays_of_one_length_are_vectors_where_postgres_knows_them(pgvector: str, postgres_server: str) -> None:
    from adbc_driver_postgresql import dbapi

    write(pgvector, VECTORS)
    write(pgvector, VECTORS.with_columns(pl.col("row") + 3), append=True)
    with pytest.raises(ConfigError, match="already exists"):
        write(pgvector, VECTORS)
    table = pgvector.partition("#")[2]
    with closing(dbapi.connect(postgres_server)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"SELECT pg_typeof(vector)::text, pg_typeof(long)::text FROM {table} LIMIT 1")
        assert cursor.fetchone() == ("vector", "real[]")
        cursor.execute(f"SELECT row FROM {table} ORDER BY vector <-> '[8,8]', row LIMIT 2")
        assert [row[0] for row in cursor.fetchall()] == [2, 5]
        cursor.execute(f'SELECT count(*), count("odd ""name"".low") FROM {table}')
        assert cursor.fetchone() == (6, 4)
    write(pgvector, VECTORS.head(1), force=True)
    with closing(dbapi.connect(postgres_server)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        assert cursor.fetchone() == (1,)


def test_rows_in_lancedb_can_be_searched(tmp_path: Path) -> None:
    lancedb = pytest.importorskip("lancedb")
    place = f"lancedb://{tmp_path}/lake#rows"
    assert holds_arrays(place)
    write(place, VECTORS)
    with pytest.raises(ConfigError, match=r"already exists.*--append.*--force"):
        write(place, VECTORS)
    write(place, VECTORS.with_columns(pl.col("row") + 3), append=True)
    with pytest.raises(ConfigError, match='no columns "new"'):
        write(place, VECTORS.with_columns(new=1), append=True)
    table = lancedb.connect(tmp_path / "lake").open_table("rows")
    assert table.count_rows() == 6
    near = table.search([8.0, 8.0], vector_column_name="vector").limit(2).to_arrow()
    assert sorted(near["row"].to_pylist()) == [2, 5]
    write(place, VECTORS.select("row"), force=True)
    assert lancedb.connect(tmp_path / "lake").open_table("rows").schema.names == ["row"]
    with pytest.raises(ConfigError, match="names no table"):
        write(place.partition("#")[0], VECTORS)
    with pytest.raises(ConfigError, match="lancedb"):
        content(place)  # rows are written to it, none are read


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_two_who_write_the_same_file_do_not_mix(name: str) -> None:
    with destination(name) as first:
        first.write(ROWS)
        with pytest.raises(ConfigError, match="Another process is writing"), destination(name) as second:
            second.write(ROWS)
        first.write(ROWS)
    assert opened_rows(name) == 6
    assert sorted(path.name for path in Path().iterdir()) == [name]


def test_a_file_that_has_come_meanwhile_is_not_replaced() -> None:
    writing = destination("out.csv")
    writing.__enter__().write(ROWS)
    Path("out.csv").write_text("theirs")
    with pytest.raises(ConfigError, match="already exists"):
        writing.__exit__(None, None, None)
    assert Path("out.csv").read_text() == "theirs"
    assert len(list(Path().iterdir())) == 1


def opened_rows(name: str) -> int:
    return (pl.read_csv(name) if name.endswith(".csv") else pl.read_parquet(name)).height
