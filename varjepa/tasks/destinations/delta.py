"""A Delta table: all rows in one commit."""

from pathlib import Path
from typing import Any

from varjepa.errors import DataError
from varjepa.tasks.destinations.target import Mode, arrow_rows, refuse_existing, require_columns
from varjepa.tasks.sources.credentials import storage_options
from varjepa.tasks.sources.delta import open_delta
from varjepa.tasks.sources.extras import required


class DeltaTarget:
    """A folder of this machine or of an object store; see `Target`."""

    suffix, arrays = ".parquet", True

    def __init__(self, place: str, description: str, mode: Mode) -> None:
        self.place, self.description, self.mode = place, description, mode
        self.deltalake = required("deltalake", "delta", "A Delta table")

    def _table(self) -> Any:
        try:
            return open_delta(self.place, self.description)
        except DataError:
            return None

    def exists(self) -> bool:
        """Whether there is a Delta table."""
        return self._table() is not None

    def check(self) -> None:
        """See `Target.check`."""
        if self.mode == "create" and self.exists():
            raise refuse_existing(self.description, may_append=True)

    def publish(self, file: Path) -> None:
        """See `Target.publish`."""
        table, rows = self._table(), arrow_rows(file)
        if table is not None and self.mode == "append":
            require_columns(self.description, [field.name for field in table.schema().fields], rows.schema.names)
        replace = self.mode == "replace" and table is not None
        self.deltalake.write_deltalake(
            self.place,
            rows,
            mode={"create": "error", "append": "append", "replace": "overwrite"}[self.mode],
            schema_mode="overwrite" if replace else None,
            storage_options=storage_options(self.place) or None,
        )
