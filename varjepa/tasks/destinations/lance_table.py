"""A table of LanceDB, a vector database in a folder: all rows in one version of the table."""

from pathlib import Path
from typing import Any

from varjepa.data.names import free_names
from varjepa.tasks.destinations.target import Mode, arrow_rows, refuse_existing, settled_mode
from varjepa.tasks.sources.extras import required
from varjepa.tasks.steps.log import log


class LanceTable:
    """A table in a folder of this machine or of an object store; see `Target`."""

    suffix, arrays = ".parquet", True

    def __init__(self, place: str, table: str, description: str, mode: Mode) -> None:
        self.place, self.table, self.description, self.mode = place, table, description, mode
        self.lancedb = required("lancedb", "lancedb", "LanceDB")

    def _columns(self, database: Any) -> list[str] | None:
        """Names of the columns; None if there is no such table."""
        try:
            return list(database.open_table(self.table).schema.names)
        except ValueError:  # no such table
            return None

    def check(self) -> None:
        """See `Target.check`."""
        if self.mode == "create" and self._columns(self.lancedb.connect(self.place)) is not None:
            raise refuse_existing(self.description, may_append=True)

    def publish(self, file: Path) -> None:
        """See `Target.publish`."""
        # Arrays keep their length: a column of arrays of one length is what LanceDB can search.
        database, rows = self.lancedb.connect(self.place), _undotted(arrow_rows(file, fixed=True))
        columns = self._columns(database)
        mode = settled_mode(self.mode, columns, rows.schema.names, self.description)
        if mode == "append":
            database.open_table(self.table).add(rows)
        else:
            how = "overwrite" if mode == "replace" else "create"
            database.create_table(self.table, rows, schema=rows.schema, mode=how)


def _undotted(rows: Any) -> Any:
    """The rows with names that LanceDB allows: it takes what follows a dot for a part of a structure."""
    import pyarrow as pa

    dotted = [name for name in rows.schema.names if "." in name]
    if not dotted:
        return rows
    plain = (name for name in rows.schema.names if "." not in name)
    renamed = free_names((name.replace(".", "_") for name in dotted), plain)
    names = dict(zip(dotted, renamed.values(), strict=True))
    log.warning(
        "LanceDB allows no dots in names of columns: %s.", ", ".join(f'"{a}" is "{b}"' for a, b in names.items())
    )
    schema = pa.schema([field.with_name(names.get(field.name, field.name)) for field in rows.schema])
    batches = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in rows)
    return pa.RecordBatchReader.from_batches(schema, batches)
