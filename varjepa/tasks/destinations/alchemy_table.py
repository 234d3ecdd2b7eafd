"""A table of SQLite, MySQL, MariaDB or SQL Server, filled through SQLAlchemy with bound values."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from varjepa.config.uris import scheme_of
from varjepa.tasks.destinations.target import Mode, arrow_rows, refuse_existing, settled_mode
from varjepa.tasks.sources.alchemy_rows import engine_of
from varjepa.tasks.sources.query_text import names_of, quoted

NEW, OLD = "varjepa_new", "varjepa_old"
"""Tables of MySQL on their way: MySQL ends a transaction when a table is created, so tables are exchanged by name."""


class AlchemyTable:
    """A table by the name `TABLE` or `SCHEMA.TABLE`; see `Target`."""

    suffix, arrays = ".parquet", False

    def __init__(self, uri: str, table: str, description: str, mode: Mode) -> None:
        self.uri, self.description, self.mode = uri, description, mode
        *schema, self.name = names_of(table)
        self.schema = schema[0] if schema else None
        self.swaps = scheme_of(uri) in ("mysql", "mariadb")

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """A connection in a transaction, which is rolled back if the block ends with an error."""
        with engine_of(self.uri, writes=True).connect() as connection:
            if scheme_of(self.uri) == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins too late for CREATE TABLE
            yield connection

    def _columns(self, connection: Any) -> list[str] | None:
        """Names of the columns; None if there is no such table."""
        from sqlalchemy import inspect

        inspector = inspect(connection)
        if not inspector.has_table(self.name, schema=self.schema):
            return None
        return [column["name"] for column in inspector.get_columns(self.name, schema=self.schema)]

    def check(self) -> None:
        """See `Target.check`."""
        with self._connected() as connection:
            if self.mode == "create" and self._columns(connection) is not None:
                raise refuse_existing(self.description, may_append=True)

    def publish(self, file: Path) -> None:
        """See `Target.publish`."""
        rows = arrow_rows(file)
        with self._connected() as connection:
            mode = settled_mode(self.mode, self._columns(connection), rows.schema.names, self.description)
            if mode == "append":
                _insert(connection, self._table(self.name, rows.schema), rows)
            elif self.swaps:
                self._exchange(connection, rows, exists=mode == "replace")
            else:
                table = self._table(self.name, rows.schema)
                table.drop(connection, checkfirst=True)
                table.create(connection)
                _insert(connection, table, rows)
            connection.commit()

    def _exchange(self, connection: Any, rows: Any, *, exists: bool) -> None:
        """Fills a new table and renames it in one step."""
        new, old = (self._table(f"{self.name}_{end}", rows.schema) for end in (NEW, OLD))
        for left in (new, old):  # of a process that was killed
            left.drop(connection, checkfirst=True)
        new.create(connection)
        try:
            _insert(connection, new, rows)
            connection.commit()
            names = [self._quoted(name) for name in (self.name, old.name, new.name)]
            moves = [f"{names[0]} TO {names[1]}"] if exists else []
            connection.exec_driver_sql("RENAME TABLE " + ", ".join([*moves, f"{names[2]} TO {names[0]}"]))
        except BaseException:
            connection.rollback()
            new.drop(connection, checkfirst=True)
            raise
        old.drop(connection, checkfirst=True)

    def _quoted(self, name: str) -> str:
        parts = [name] if self.schema is None else [self.schema, name]
        return ".".join(quoted(f'"{part}"', "``") for part in parts)

    def _table(self, name: str, schema: Any) -> Any:
        from sqlalchemy import Column, MetaData, Table

        columns = [Column(field.name, _type(field.type)) for field in schema]
        return Table(name, MetaData(), *columns, schema=self.schema)


def _insert(connection: Any, table: Any, rows: Any) -> None:
    for batch in rows:
        values = [{f"c{i}": _value(cell) for i, cell in enumerate(row.values())} for row in batch.to_pylist()]
        if values:
            connection.execute(_inserted(table), values)


def _inserted(table: Any) -> Any:
    """An INSERT with names of parameters that no name of a column can disturb."""
    from sqlalchemy import bindparam, insert

    return insert(table).values({column: bindparam(f"c{i}") for i, column in enumerate(table.columns)})


def _value(cell: Any) -> Any:
    if isinstance(cell, float) and not math.isfinite(cell):
        return None  # MySQL knows no such numbers
    return "; ".join(map(str, cell)) if isinstance(cell, list) else cell


def _type(kind: Any) -> Any:
    import pyarrow as pa
    import sqlalchemy as sa

    for is_kind, column in (
        (pa.types.is_boolean, sa.Boolean()), (pa.types.is_integer, sa.BigInteger()),
        (pa.types.is_floating, sa.Double()), (pa.types.is_date, sa.Date()),
        (pa.types.is_timestamp, sa.DateTime()), (pa.types.is_time, sa.Time()),
    ):  # fmt: skip
        if is_kind(kind):
            return column
    return sa.Text()
