"""A table of PostgreSQL, filled by ADBC through COPY."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from varjepa.tasks.destinations.target import Mode, array_lengths, arrow_rows, refuse_existing, settled_mode
from varjepa.tasks.sources.extras import required
from varjepa.tasks.sources.postgres_rows import with_timeout
from varjepa.tasks.sources.query_text import names_of, quoted, whole_table

QUOTE = '""'

LONGEST = 2000
"""Numbers of the longest vector that pgvector can index."""

STAGED = "varjepa_staged"
"""Temporary table of the rows on their way."""


class PostgresTable:
    """A table by the name `TABLE` or `SCHEMA.TABLE`; see `Target`."""

    suffix, arrays = ".parquet", True

    def __init__(self, uri: str, table: str, description: str, mode: Mode) -> None:
        self.uri, self.table, self.description, self.mode = uri, table, description, mode
        self.dbapi = required("adbc_driver_postgresql.dbapi", "sql", "PostgreSQL")

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A cursor in a transaction that is rolled back unless somebody commits it."""
        with closing(self.dbapi.connect(with_timeout(self.uri))) as connection, closing(connection.cursor()) as cursor:
            yield cursor

    def _columns(self, cursor: Any) -> list[str] | None:
        """Names of the columns; None if there is no such table."""
        # Not parameters of the query: a name is looked up as PostgreSQL itself reads it.
        cursor.execute("SELECT to_regclass($1) IS NOT NULL", [quoted(self.table, QUOTE)])
        if not cursor.fetchone()[0]:
            return None
        cursor.execute(f"{whole_table(self.table, QUOTE)} LIMIT 0")
        return list(cursor.fetch_arrow_table().schema.names)

    def check(self) -> None:
        """See `Target.check`."""
        with self._cursor() as cursor:
            if self.mode == "create" and self._columns(cursor) is not None:
                raise refuse_existing(self.description, may_append=True)

    def publish(self, file: Path) -> None:
        """See `Target.publish`."""
        rows = arrow_rows(file)
        with self._cursor() as cursor:
            mode = settled_mode(self.mode, self._columns(cursor), rows.schema.names, self.description)
            if mode == "replace":
                cursor.execute(f"DROP TABLE {quoted(self.table, QUOTE)}")
            lengths = _searchable(file) if _has_vectors(cursor) else {}
            if lengths:
                self._publish_vectors(cursor, rows, lengths, append=mode == "append")
            else:
                *schema, table = names_of(self.table)
                how = "append" if mode == "append" else "create"
                cursor.adbc_ingest(table, rows, mode=how, db_schema_name=schema[0] if schema else None)
            cursor.connection.commit()

    def _publish_vectors(self, cursor: Any, rows: Any, lengths: dict[str, int], *, append: bool) -> None:
        """Writes rows with columns that pgvector can search; the driver knows plain arrays only."""
        names = [f'"{name.replace(QUOTE[0], QUOTE)}"' for name in rows.schema.names]
        cursor.adbc_ingest(STAGED, rows, mode="create", temporary=True)
        if append:  # the table's own types count: arrays are assigned to vectors and to arrays alike
            columns = ", ".join(names)
            cursor.execute(f"INSERT INTO {quoted(self.table, QUOTE)} ({columns}) SELECT {columns} FROM {STAGED}")  # noqa: S608 (names are quoted)
        else:
            typed = [f"{name}::vector({lengths[plain]}) AS {name}" if plain in lengths else name
                     for plain, name in zip(rows.schema.names, names, strict=True)]  # fmt: skip
            cursor.execute(f"CREATE TABLE {quoted(self.table, QUOTE)} AS SELECT {', '.join(typed)} FROM {STAGED}")  # noqa: S608 (names are quoted)
        cursor.execute(f"DROP TABLE {STAGED}")


def _has_vectors(cursor: Any) -> bool:
    """Whether the database has the extension pgvector."""
    cursor.execute("SELECT count(*) FROM pg_extension WHERE extname = 'vector'")
    return bool(cursor.fetchone()[0])


def _searchable(file: Path) -> dict[str, int]:
    """Columns of arrays that pgvector can index, with their lengths."""
    return {name: length for name, length in array_lengths(file).items() if length <= LONGEST}
