"""A table of a DuckDB file, which DuckDB itself reads from the collected rows."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from varjepa.errors import ConfigError
from varjepa.tasks.destinations.target import Mode, refuse_existing, settled_mode
from varjepa.tasks.sources.query_text import quoted, whole_table

QUOTE = '""'


class DuckdbTable:
    """A table by the name `TABLE` or `SCHEMA.TABLE`; see `Target`."""

    suffix, arrays = ".parquet", True

    def __init__(self, database: Path, table: str, description: str, mode: Mode) -> None:
        self.database, self.table, self.description, self.mode = database, table, description, mode

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        import duckdb

        with closing(duckdb.connect(str(self.database))) as connection:
            yield connection

    def _columns(self, connection: Any) -> list[str] | None:
        """Names of the columns; None if there is no such table."""
        import duckdb

        try:
            return [row[0] for row in connection.execute(f"DESCRIBE {whole_table(self.table, QUOTE)}").fetchall()]
        except duckdb.CatalogException:
            return None

    def check(self) -> None:
        """See `Target.check`."""
        if not self.database.parent.is_dir():
            raise ConfigError(f"The folder {self.database.parent} does not exist.", fix="Create it.")
        if self.mode == "create" and self.database.exists():
            with self._connected() as connection:
                if self._columns(connection) is not None:
                    raise refuse_existing(self.description, may_append=True)

    def publish(self, file: Path) -> None:
        """See `Target.publish`."""
        name = quoted(self.table, QUOTE)
        with self._connected() as connection:
            rows, columns = connection.read_parquet(str(file)), self._columns(connection)
            connection.begin()
            if settled_mode(self.mode, columns, rows.columns, self.description) == "append":
                connection.execute(f"INSERT INTO {name} BY NAME FROM rows")
            else:
                connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM rows")
            connection.commit()
