"""A table of PostgreSQL, filled by ADBC through COPY."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tasks.destinations.target import Mode, arrow_rows, refuse_existing, settled_mode
from tasks.sources.extras import required
from tasks.sources.postgres_rows import with_timeout
from tasks.sources.query_text import names_of, quoted, whole_table

QUOTE = '""'


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
            *schema, table = names_of(self.table)
            how = "append" if mode == "append" else "create"
            cursor.adbc_ingest(table, rows, mode=how, db_schema_name=schema[0] if schema else None)
            cursor.connection.commit()
