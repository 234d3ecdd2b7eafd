"""Rows of a query on SQLite, MySQL, MariaDB or SQL Server, through SQLAlchemy and cursors that do not hold all rows."""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from varjepa.config.uris import database_file, home_expanded, scheme_of
from varjepa.errors import DataError, SetupError
from varjepa.tasks.sources.extras import required
from varjepa.tasks.sources.python_rows import stage_batches
from varjepa.tasks.sources.query_text import bound, one_select
from varjepa.tasks.sources.staged_rows import require_names, rows_at_once

READ_ONLY = {
    "sqlite": ("PRAGMA query_only = ON",),
    "mysql": ("SET SESSION TRANSACTION READ ONLY", "SET SESSION time_zone = '+00:00'",
              "SET SESSION net_write_timeout = 600"),
    "mssql": (),
}  # fmt: skip
"""Statements before the query. SQL Server has no read-only transactions: what it did is rolled back."""


def stage_alchemy(uri: str, query: str, parameters: Mapping[str, Any], out: Path, description: str) -> None:
    """Reads a query in a read-only connection.

    Args:
        uri: of the database, without a table.
        query: a SELECT with `:name` for parameters.
        parameters: name -> value, bound by the driver.
        out: Parquet file; decimals become floats, durations seconds, bytes and the like text.
        description: of the database, for messages.

    Raises:
        ConfigError: the query is not one SELECT, or lacks a parameter.
        DataError: no such file, or two columns have the same name.
    """
    dialect = scheme_of(uri).replace("mariadb", "mysql")
    with read_only(uri) as connection:
        style = connection.dialect.paramstyle
        backslashes = dialect == "mysql"
        text = one_select(query, backslashes=backslashes)
        if style in ("format", "pyformat"):
            text = text.replace("%", "%%")
        text, names = bound(text, parameters, lambda name, _: _placeholder(style, name), backslashes=backslashes)
        result = connection.exec_driver_sql(text, _values(style, names, parameters))
        columns = [column[0] for column in result.cursor.description]
        require_names(columns, description)
        stage_batches(result.partitions(rows_at_once(len(columns))), columns, out)


@contextmanager
def read_only(uri: str) -> Iterator[Any]:
    """A connection that changes nothing: its transaction is read-only, and rolled back."""
    dialect = scheme_of(uri).replace("mariadb", "mysql")
    with engine_of(uri).connect().execution_options(stream_results=True, max_row_buffer=1000) as connection:
        for statement in READ_ONLY[dialect]:
            connection.exec_driver_sql(statement)
        connection.rollback()  # so that the query begins a transaction, which is read-only
        raw = connection.connection.dbapi_connection
        try:
            yield connection
        except BaseException:
            _forget_unread(raw)
            connection.invalidate()
            raise
        connection.rollback()


def _forget_unread(raw: Any) -> None:
    """Makes PyMySQL leave rows unread: otherwise it waits for them in destructors, also after a lost connection."""
    if (result := getattr(raw, "_result", None)) is not None:
        result.unbuffered_active = False


def engine_of(uri: str, *, writes: bool = False) -> Any:
    """An engine that connects anew every time.

    Raises:
        SetupError: the driver is not installed.
    """
    import sqlalchemy

    try:
        return sqlalchemy.create_engine(
            **_engine(uri, writes=writes), poolclass=sqlalchemy.NullPool, hide_parameters=True
        )
    except ModuleNotFoundError as error:
        raise SetupError(
            f"{scheme_of(uri)}:// needs the driver {error.name}, which is not installed.",
            fix=f"Install it: pip install {error.name}.",
        ) from None


def _engine(uri: str, *, writes: bool) -> dict[str, Any]:
    """Arguments of `create_engine`."""
    from sqlalchemy import make_url

    if scheme_of(uri) == "sqlite":
        return {"url": "sqlite://", "creator": lambda: _sqlite(uri, writes=writes)}
    if scheme_of(uri) == "mssql":
        return {"url": uri}
    required("pymysql", "sql", "MySQL")
    url = make_url(uri).set(drivername="mysql+pymysql")
    options: dict[str, Any] = {"connect_timeout": 15}
    if url.password is None and (password := os.environ.get("MYSQL_PWD")):
        options["password"] = password
    if (file := Path("~/.my.cnf").expanduser()).is_file():
        options["read_default_file"] = str(file)
    return {"url": url, "connect_args": options}


def _sqlite(uri: str, *, writes: bool) -> sqlite3.Connection:
    file = home_expanded(database_file(uri))
    if writes:
        return sqlite3.connect(file, isolation_level=None)
    if not file.is_file():
        raise DataError(f"No such file: {file}.", fix="Check data.path: sqlite:////ABSOLUTE or sqlite:///RELATIVE.")
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)


def _placeholder(style: str, name: str) -> str:
    return {"qmark": "?", "named": f":{name}"}.get(style, f"%({name})s")


def _values(style: str, names: list[str], parameters: Mapping[str, Any]) -> Any:
    """Values as the driver expects them: by place or by name."""
    # The driver of SQLite has no dates of its own: SQLite compares the text.
    plain = {name: str(value) if isinstance(value, date) else value for name, value in parameters.items()}
    if style == "qmark":
        return tuple(plain[name] for name in names)
    return {name: plain[name] for name in names}
