"""Tables and queries of real database servers: types, parameters, errors; and nothing that writes."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tests.unit.tasks.sources.conftest import Read
from varjepa.config import DataSection
from varjepa.data.read.sources import open_path
from varjepa.errors import ConfigError, DataError, InterruptedReadError
from varjepa.tasks.sources.python_rows import stage_batches

pytestmark = pytest.mark.slow  # servers start

NOON = datetime(2026, 5, 31, 12)  # noqa: DTZ001 (a local time)
TEN = NOON.replace(hour=10)
ROWS = "(1, 31.5, 'clerk', '2026-05-30'), (2, NULL, 'smi%th', '2026-05-31'), (3, 60, NULL, '2026-06-01')"


@pytest.fixture(scope="session")
def postgres_people(postgres_server: str) -> str:
    import psycopg2

    with closing(psycopg2.connect(postgres_server)) as connection:
        connection.cursor().execute(
            "CREATE SCHEMA \"odd.one\"; CREATE TYPE mood AS ENUM ('good', 'bad');"
            'CREATE TABLE "odd.one"."my people" (id int, age numeric(6, 2), job text, since date);'
            f'INSERT INTO "odd.one"."my people" VALUES {ROWS};'
            'CREATE TABLE people AS SELECT * FROM "odd.one"."my people";'
            "CREATE TABLE big AS SELECT i AS id, i * 0.5 AS half, 'word ' || i % 7 AS word "
            "FROM generate_series(1, 120000) AS i"
        )
        connection.commit()
    return postgres_server


@pytest.fixture(scope="session")
def mariadb_people(mariadb_server: str) -> str:
    import pymysql
    from sqlalchemy import make_url

    url = make_url(mariadb_server)
    with closing(pymysql.connect(host=url.host, port=url.port, user="root", database="shop", autocommit=True)) as made:
        cursor = made.cursor()
        cursor.execute("CREATE TABLE people (id int, age decimal(6, 2), job varchar(20), since date)")
        cursor.execute(f"INSERT INTO people VALUES {ROWS}")
    return mariadb_server


@pytest.fixture
def sqlite_people(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE people (id INTEGER, age REAL, job TEXT, since DATE)")
        connection.execute(f"INSERT INTO people VALUES {ROWS}")
        connection.commit()
    return f"sqlite:///{tmp_path}/shop.db"


@pytest.fixture
def duckdb_people(tmp_path: Path) -> str:
    import duckdb

    with closing(duckdb.connect(str(tmp_path / "shop.duckdb"))) as connection:
        connection.execute("CREATE TABLE people (id INTEGER, age DECIMAL(6, 2), job VARCHAR, since DATE)")
        connection.execute(f"INSERT INTO people VALUES {ROWS}")
    return f"duckdb:///{tmp_path}/shop.duckdb"


@pytest.fixture(params=["postgres", "mariadb", "sqlite", "duckdb"])
def people(request: pytest.FixtureRequest) -> str:
    """The same table in each of the databases."""
    return request.getfixturevalue(f"{request.param}_people")


@pytest.fixture
def connected(people: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, named by a variable of the environment."""
    monkeypatch.setenv("SHOP", people)
    return "${SHOP}"


def test_a_table_and_a_query_give_plain_types(connected: str, read: Callable[..., Read]) -> None:
    table, query = read(f"{connected}#people"), read(connected, query="SELECT * FROM people ORDER BY id DESC;")
    assert table.frame["id"].to_list() == [1, 2, 3]
    assert table.frame["age"].to_list() == [31.5, None, 60.0]
    assert table.frame["age"].dtype == pl.Float64
    assert table.frame["job"].to_list() == ["clerk", "smi%th", None]
    assert [str(day) for day in table.frame["since"]] == ["2026-05-30", "2026-05-31", "2026-06-01"]
    assert query.frame["id"].to_list() == [3, 2, 1]
    assert query.fingerprint == table.fingerprint  # the same rows in another order


def test_values_are_bound_and_never_a_part_of_the_text(connected: str, read: Callable[..., Read]) -> None:
    evil = "x'; DROP TABLE people; --"
    query = "SELECT id, ':day %s' AS text FROM people WHERE since >= :day AND id <> :id AND since >= :day -- :word"
    rows = read(connected, query=query, parameters={"day": "2026-05-31", "id": 3}).frame
    assert rows.rows() == [(2, ":day %s")]
    nothing = read(connected, query="SELECT id FROM people WHERE job = :word", parameters={"word": evil}).frame
    assert nothing.height == 0
    assert read(f"{connected}#people").frame.height == 3


def test_a_fingerprint_is_that_of_the_rows(connected: str, read: Callable[..., Read]) -> None:
    def fingerprint(query: str) -> str:
        return read(connected, query=query).fingerprint

    all_rows = fingerprint("SELECT * FROM people")
    assert all_rows == fingerprint("SELECT * FROM people ORDER BY since DESC")
    others = [
        "SELECT * FROM people WHERE id < 3",
        "SELECT id, age, since, job FROM people",
        "SELECT id + 1 AS id, age, job, since FROM people",
        "SELECT * FROM people UNION ALL SELECT * FROM people",
    ]
    assert len({all_rows, *map(fingerprint, others)}) == 5


@pytest.mark.parametrize("query", [
    "DELETE FROM people", "UPDATE people SET id = 0", "DROP TABLE people", "INSERT INTO people (id) VALUES (9)",
    "SELECT * FROM people; DELETE FROM people", "/* SELECT */ TRUNCATE people", "CREATE TABLE other AS SELECT 1 AS a",
    "SELECT * INTO other FROM people", "WITH gone AS (DELETE FROM people RETURNING *) SELECT * FROM gone",
    "SELECT * FROM people INTO OUTFILE 'people.txt'", "COPY people TO 'people.csv'", "ATTACH 'new.db' AS new", "",
])  # fmt: skip
def test_a_query_that_writes_fails_and_changes_nothing(
    connected: str, read: Callable[..., Read], query: str, tmp_path: Path
) -> None:
    with pytest.raises((ConfigError, DataError)):
        read(connected, query=query)
    assert read(f"{connected}#people").frame.height == 3
    assert not list((tmp_path / "home").glob("*.db"))


@pytest.mark.parametrize(("settings", "words"), [
    ({"query": "SELECT * FROM persons"}, "persons"),
    ({"query": "SELEC * FROM people"}, 'begins with "SELEC"'),
    ({"query": "SELECT id, id FROM people"}, 'several columns named "id"'),
    ({"query": "SELECT * FROM people", "parameters": {"day": 1}}, 'has "day", which data.query does not use'),
    ({"query": "SELECT * FROM people WHERE id = :idd", "parameters": {"id": 1}}, 'Did you mean "idd"'),
])  # fmt: skip
def test_what_is_wrong_with_a_query_is_said(
    connected: str, read: Callable[..., Read], settings: dict[str, object], words: str
) -> None:
    with pytest.raises((ConfigError, DataError), match=words):
        read(connected, **settings)


def test_types_of_postgresql(postgres_people: str, read: Callable[..., Read], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", postgres_people)
    query = """SELECT 1.25::numeric AS n, 2.5::money AS m, interval '1 day 2 hours' AS i, '{"a": 1}'::jsonb AS j,
        '6f1c0a54-0000-4000-8000-000000000000'::uuid AS u, '\\x01ff'::bytea AS b, ARRAY[1, 2] AS a, 'good'::mood AS e,
        '1.2.3.4'::inet AS ip, true AS t, 3::smallint AS s, timestamptz '2026-05-31 12:00+02' AS z,
        timestamp '2026-05-31 12:00' AS l, 'infinity'::date AS never, date '2026-05-31' AS d, time '12:30' AS o,
        'NaN'::numeric AS nan, 12345678901234567890::numeric AS huge, NULL AS nothing, char 'x' AS c"""
    (row,) = read("${SHOP}", query=query).frame.to_dicts()
    assert row.pop("nan") != row.get("nan")
    assert row == {
        "n": 1.25, "m": 2.5, "i": 93600.0, "j": '{"a": 1}', "u": "6f1c0a54-0000-4000-8000-000000000000", "b": "\\x01ff",
        "a": "{1,2}", "e": "good", "ip": "1.2.3.4/32", "t": True, "s": 3, "z": TEN,
        "l": NOON, "never": None, "d": date(2026, 5, 31), "o": 45_000.0,
        "huge": 12345678901234567890.0, "nothing": None, "c": "x",
    }  # fmt: skip


def test_types_of_duckdb(duckdb_people: str, read: Callable[..., Read]) -> None:
    query = """SELECT 1.25::DECIMAL(5, 2) AS n, INTERVAL 26 HOUR AS i, [1, 2] AS l, {'a': 1} AS s, 5::HUGEINT AS h,
        'a'::BLOB AS b, TIMESTAMPTZ '2026-05-31 12:00+02' AS z, 'infinity'::TIMESTAMP AS never, TIME '12:30' AS o,
        '6f1c0a54-0000-4000-8000-000000000000'::UUID AS u, 'x'::ENUM('x', 'y') AS e, 3::UTINYINT AS t,
        12345678901234567891::DECIMAL(20, 0) AS k, 7::DECIMAL(20, 0) AS few"""
    (row,) = read(duckdb_people, query=query).frame.to_dicts()
    assert row == {
        "n": 1.25, "i": 93600.0, "l": "[1, 2]", "s": "{'a': 1}", "h": 5.0, "b": "a", "o": 45_000.0, "never": None,
        "z": TEN, "u": "6f1c0a54-0000-4000-8000-000000000000", "e": "x", "t": 3,
        "k": "12345678901234567891", "few": 7.0,
    }  # fmt: skip


def test_types_of_mariadb(mariadb_people: str, read: Callable[..., Read]) -> None:
    query = """SELECT 1.25 AS n, TIME '26:00:00' AS i, JSON_OBJECT('a', 1) AS j, x'01ff' AS b, true AS t,
        TIMESTAMP '2026-05-31 12:00:00' AS l, DATE '2026-05-31' AS d, 'it\\'s :day' AS q, NULL AS nothing,
        18446744073709551615 AS huge"""
    (row,) = read(mariadb_people, query=query).frame.to_dicts()
    assert row == {
        "n": 1.25, "i": 93600.0, "j": '{"a": 1}', "b": "01ff", "t": 1, "l": NOON,
        "d": date(2026, 5, 31), "q": "it's :day", "nothing": None, "huge": "18446744073709551615",
    }  # fmt: skip


def test_keys_of_drivers_stay_exact_in_batches_of_any_size(tmp_path: Path) -> None:
    """Unsigned and decimal keys became floats, of which neighbours were equal."""
    keys = [2**64 - 1, 2**64 - 2, 5, Decimal(2**63 + 1), Decimal(7), None]
    batches = [[(key, float(at), Decimal("1.00")) for at, key in enumerate(keys)][at : at + 2] for at in (0, 2, 4)]
    stage_batches(batches, ["key", "at", "money"], tmp_path / "rows.parquet")
    frame = open_path(str(tmp_path / "rows.parquet"), DataSection(name="t")).frame.collect()
    assert frame["key"].to_list() == keys
    assert frame.dtypes == [pl.UInt64, pl.Float64, pl.Float64]


def test_columns_of_sqlite_hold_what_they_like(tmp_path: Path, read: Callable[..., Read]) -> None:
    rows = 60_000  # more than a batch
    with closing(sqlite3.connect(tmp_path / "loose.db")) as connection:
        connection.execute("CREATE TABLE loose (whole, late, mixed, bytes, empty)")
        cells = ((i, i if i < rows - 1 else 0.5, i if i < rows - 1 else "n/a", b"\x01", None) for i in range(rows))
        connection.executemany("INSERT INTO loose VALUES (?, ?, ?, ?, ?)", cells)
        connection.commit()
    frame = read(f"sqlite:///{tmp_path}/loose.db#loose").frame
    assert frame.height == rows
    assert frame["whole"].to_list() == list(range(rows))
    assert frame["late"][-1] == 0.5
    assert frame["mixed"][-2:].to_list() == [rows - 2, None]  # text to SQLite, numbers with a gap to us
    assert frame["bytes"][0] == "01"
    assert frame["empty"].null_count() == rows


def test_a_table_larger_than_a_batch(postgres_people: str, read: Callable[..., Read], monkeypatch) -> None:
    monkeypatch.setenv("SHOP", postgres_people)
    frame = read("${SHOP}#big").frame
    assert frame.select(pl.len(), pl.col("id").cast(pl.Int64).sum(), pl.sum("half"), pl.n_unique("word")).row(0) == (
        120_000, 120_000 * 120_001 // 2, 120_000 * 120_001 / 4, 7,
    )  # fmt: skip


def test_names_with_dots_and_blanks_stand_in_quotes(postgres_people: str, read, monkeypatch) -> None:
    monkeypatch.setenv("SHOP", postgres_people)
    assert read('${SHOP}#"odd.one"."my people"').frame.height == 3
    assert read("${SHOP}#public.people").frame.height == 3


def test_no_message_holds_the_password(postgres_people: str, read, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = postgres_people.replace("varjepa:", "varjepa:sesame")
    monkeypatch.setenv("SHOP", wrong)
    with pytest.raises(DataError, match=r"refuses access.*password authentication failed") as raised:
        read("${SHOP}#people")
    assert "sesame" not in str(raised.value)
    assert "varjepa:***@" in str(raised.value)


@pytest.mark.parametrize(("path", "error", "words"), [
    ("postgresql://me@127.0.0.1:9/db#t", InterruptedReadError, "does not answer.*refused"),
    ("mysql://me@127.0.0.1:9/db#t", InterruptedReadError, "does not answer.*refused"),
    ("postgresql://me@no-such-host.invalid/db#t", DataError, "cannot be reached.*name of the host"),
    ("sqlite:///no/such.db#t", DataError, "No such file: no/such.db"),
    ("duckdb:///no/such.db#t", DataError, "No such file: no/such.db"),
    ("${NO_SUCH_VARIABLE}#t", ConfigError, "NO_SUCH_VARIABLE, which is not set"),
])  # fmt: skip
def test_places_that_do_not_answer(read: Callable[..., Read], path: str, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        read(path)


def test_a_file_that_is_no_database(tmp_path: Path, read: Callable[..., Read]) -> None:
    (tmp_path / "words.db").write_text("words" * 1000)
    for scheme in ("sqlite", "duckdb"):
        with pytest.raises(DataError, match=r"words.db.* cannot be read: .*not a"):
            read(f"{scheme}:///{tmp_path}/words.db#t")
