"""What every place offers that rows are written to."""

from pathlib import Path
from typing import Any, Literal, Protocol

from varjepa.errors import ConfigError

Mode = Literal["create", "append", "replace"]
"""What to do with a table that exists: refuse, add rows, or put the new rows in its place."""

BATCH = 20_000
"""Rows that are read from the staged file at a time."""


class Target(Protocol):
    """A place for a table.

    Attributes:
        suffix: of the file in which rows are collected first: .parquet or .csv.
        arrays: whether a column may hold arrays, such as an embedding.
    """

    suffix: str
    arrays: bool

    def check(self) -> None:
        """Checks before the first row is computed that the place can be written.

        Raises:
            ConfigError: a table is there and may neither be replaced nor appended to.
        """

    def publish(self, file: Path) -> None:
        """Writes the collected rows. Readers see the table before or after, nothing in between.

        Args:
            file: all rows, with the suffix of the target.
        """


def refuse_existing(description: str, *, may_append: bool) -> ConfigError:
    """The error for a table that is there already."""
    return ConfigError(
        f"{description} already exists.",
        fix="Pass --append to add rows, or --force to replace it."
        if may_append
        else "Choose another name, or pass --force to overwrite it.",
    )


def require_columns(description: str, existing: list[str], names: list[str]) -> None:
    """Checks that rows fit a table.

    Raises:
        ConfigError: the table lacks a column.
    """
    missing = [name for name in names if name not in existing]
    if missing:
        from varjepa.errors import listed

        raise ConfigError(
            f"{description} has no columns {listed(missing)}, so these rows cannot be appended.",
            fix="Write to another table, or pass --force to replace it.",
        )


def settled_mode(mode: Mode, existing: list[str] | None, names: list[str], description: str) -> Mode:
    """What is to be done, now that somebody has looked whether the table exists: `create` where it does not.

    Args:
        mode: what the user wants.
        existing: names of the table's columns; None if there is no such table.
        names: of the columns of the rows.
        description: of the table.

    Raises:
        ConfigError: the table exists and may neither be replaced nor appended to, or lacks a column.
    """
    if existing is None:
        return "create"
    if mode == "create":
        raise refuse_existing(description, may_append=True)
    if mode == "append":
        require_columns(description, existing, names)
    return mode


def arrow_rows(file: Path, *, fixed: bool = False) -> Any:
    """The rows of a Parquet file as a reader of Arrow batches, in types that tables know: lists, signed numbers.

    Args:
        file: Parquet.
        fixed: keep arrays of one length as they are, for places that know them.
    """
    import pyarrow as pa
    from pyarrow import parquet

    opened = parquet.ParquetFile(file)
    schema = pa.schema([pa.field(field.name, _known(field.type, fixed=fixed)) for field in opened.schema_arrow])
    batches = (
        piece
        for batch in opened.iter_batches(BATCH)
        for piece in pa.Table.from_batches([batch]).cast(schema).to_batches()
    )
    return pa.RecordBatchReader.from_batches(schema, batches)


def array_lengths(file: Path) -> dict[str, int]:
    """Columns of a Parquet file that hold arrays of numbers of one length, with that length."""
    import pyarrow as pa
    from pyarrow import parquet

    fields = parquet.read_schema(file)
    return {
        field.name: field.type.list_size
        for field in fields
        if pa.types.is_fixed_size_list(field.type) and pa.types.is_floating(field.type.value_type)
    }


def _known(kind: Any, *, fixed: bool = False) -> Any:
    import pyarrow as pa

    if fixed and pa.types.is_fixed_size_list(kind):
        return kind
    if pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_known(kind.value_type))
    if pa.types.is_unsigned_integer(kind):
        return pa.int64()
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind
