"""Rows of a query on PostgreSQL, through ADBC and a cursor of the server: no more than a batch is in memory."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from varjepa.tasks.sources.extras import required
from varjepa.tasks.sources.query_text import bound, one_select
from varjepa.tasks.sources.staged_rows import StagedRows, note_texts, require_names, rows_at_once

AS_THEY_ARE = ("bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bpchar", "name", "time")
NUMBERS = {
    "numeric": "{}::float8", "money": "{}::numeric::float8", "oid": "{}::int8",
    "interval": "extract(epoch FROM {})::float8",
}  # fmt: skip
MOMENTS = ("date", "timestamp", "timestamptz")
NO_COPY = {"adbc.postgresql.use_copy": "false"}
"""ADBC reads by COPY otherwise, which takes neither parameters nor FETCH."""


def stage_postgres(uri: str, query: str, parameters: Mapping[str, Any], rows: StagedRows, description: str) -> None:
    """Reads a query in a read-only transaction.

    Args:
        uri: of the database, without a table.
        query: a SELECT with `:name` for parameters.
        parameters: name -> value, bound by the server.
        rows: receives the rows, decimals as floats, intervals in seconds, other types as text.
        description: of the database, for messages.

    Raises:
        ConfigError: the query is not one SELECT, or lacks a parameter.
        DataError: two columns have the same name.
    """
    dbapi = required("adbc_driver_postgresql.dbapi", "sql", "PostgreSQL")
    text, names = bound(one_select(query), parameters, lambda _, number: f"${number}")
    values = [parameters[name] for name in dict.fromkeys(names)] or None
    with closing(dbapi.connect(with_timeout(uri))) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute("SET LOCAL cursor_tuple_fraction = 1")  # all rows are read, so the whole plan counts
        cursor.execute(f"DECLARE glance NO SCROLL CURSOR FOR {text}", values)
        types = _fetched(cursor, "glance", 0).schema
        cursor.execute("CLOSE glance")
        require_names(types.names, description)
        plain = ", ".join(_plain(field) for field in types)
        declared = f"DECLARE rows NO SCROLL CURSOR FOR SELECT {plain} FROM (\n{text}\n) AS query"  # noqa: S608 (checked)
        cursor.execute(declared, values)
        size = rows_at_once(len(types))
        while True:
            batch = _fetched(cursor, "rows", size)
            rows.write(batch.replace_schema_metadata())
            if batch.num_rows < size:
                return


def _fetched(cursor: Any, name: str, rows: int) -> Any:
    cursor.adbc_statement.set_options(**NO_COPY)
    cursor.execute(f"FETCH {rows} FROM {name}")
    return cursor.fetch_arrow_table()


def with_timeout(uri: str) -> str:
    """The URI with a limit on the time that connecting takes."""
    if "connect_timeout=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}connect_timeout=15"


def _plain(field: Any) -> str:
    """The expression that gives a column a plain type, under its name."""
    kind = (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
    name = '"' + field.name.replace('"', '""') + '"'
    if kind in NUMBERS:
        return f"{NUMBERS[kind].format(name)} AS {name}"
    if kind in MOMENTS:  # infinity is a moment in PostgreSQL alone
        return f"CASE WHEN isfinite({name}) THEN {name} END AS {name}"
    if kind in AS_THEY_ARE:
        return name
    if kind.startswith("_") or kind in ("bytea", "json", "jsonb"):
        note_texts([field.name])
    return f"{name}::text AS {name}"
