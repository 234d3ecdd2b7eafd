"""Rows of Python objects, as most drivers return them, in a Parquet file whose types fit all of them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

Order = {pl.Null: 0, pl.Boolean: 1, pl.Int64: 2, pl.Int128: 3, pl.Float64: 4}
"""Types that include those before them."""


def stage_batches(batches: Iterable[Sequence[Sequence[Any]]], names: Sequence[str], out: Path) -> None:
    """Writes rows to a Parquet file.

    A database without strict types (SQLite) shows only at its last row what a column holds. So every batch is kept with
    its own types first, and all are brought to the types that hold every value.

    Args:
        batches: rows, some at a time.
        names: of the columns, all different.
        out: the file; the batches are kept beside it for as long as this takes.
    """
    parts: list[Path] = []
    schema: dict[str, Any] = dict.fromkeys(names, pl.Null)
    for rows in batches:
        columns = list(zip(*rows, strict=True)) or [()] * len(names)
        frame = pl.DataFrame([series(name, cells) for name, cells in zip(names, columns, strict=True)])
        parts.append(out.with_name(f"{len(parts):06}.part"))
        frame.write_parquet(parts[-1])
        schema = {name: _common(schema[name], dtype) for name, dtype in frame.schema.items()}
    if not parts:
        pl.DataFrame(schema=schema).write_parquet(out)
        return
    frames = [pl.scan_parquet(part).cast(schema) for part in parts]  # type: ignore[arg-type]  # classes of types
    pl.concat(frames).sink_parquet(out, maintain_order=True)
    for part in parts:
        part.unlink()


def series(name: str, cells: Sequence[Any]) -> pl.Series:
    """A column of plain type: decimals with places become floats, durations seconds, all else without a number text.

    Examples:
        >>> series("a", [1, None, 2.5]).to_list()
        [1.0, None, 2.5]
        >>> series("a", [1, "n/a"]).to_list()
        ['1', 'n/a']
    """
    kinds = {type(cell) for cell in cells if cell is not None}
    if not kinds:
        return pl.Series(name, cells, dtype=pl.Null)
    for dtype, members, convert in _KINDS:
        bits = _BITS.get(dtype)
        if kinds <= members and (bits is None or all(_fits(cell, bits) for cell in cells if cell is not None)):
            return pl.Series(name, [None if cell is None else convert(cell) for cell in cells], dtype=dtype)
    return pl.Series(name, [None if cell is None else _text(cell) for cell in cells], dtype=pl.String)


_BITS = {pl.Int64: 64, pl.Int128: 128}
"""Of types of whole numbers: keys of more than 64 bits stay exact, those beyond 128 become floats."""


def _fits(cell: int | Decimal, bits: int) -> bool:
    """Whether a number is whole, a decimal without places for example, and has so many bits."""
    whole = not isinstance(cell, Decimal) or cell.as_tuple().exponent == 0
    return whole and -(2 ** (bits - 1)) <= cell < 2 ** (bits - 1)


def _moment(cell: Any) -> datetime:
    """A date or time without a time zone; times with one in UTC."""
    if not isinstance(cell, datetime):
        return datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 (as in the database)
    return cell if cell.tzinfo is None else cell.astimezone(UTC).replace(tzinfo=None)


_KINDS: tuple[tuple[Any, set[type], Any], ...] = (
    (pl.Boolean, {bool}, bool),
    (pl.Int64, {bool, int, Decimal}, int),
    (pl.Int128, {bool, int, Decimal}, int),
    (pl.Float64, {bool, int, float, Decimal}, float),
    (pl.Float64, {timedelta}, timedelta.total_seconds),
    (pl.Date, {date}, lambda cell: cell),
    (pl.Datetime("us"), {date, datetime}, _moment),
    (pl.Time, {time}, lambda cell: cell.replace(tzinfo=None)),
)
"""Type of a column, types of cells that it holds, and how a cell becomes a member of it."""


def _text(cell: Any) -> str:
    return bytes(cell).hex() if isinstance(cell, bytes | bytearray | memoryview) else str(cell)


def _common(one: Any, other: Any) -> Any:
    """The type that holds the values of both."""
    if pl.Null in (one, other) or one == other:
        return other if one == pl.Null else one
    if one in Order and other in Order:
        return max(one, other, key=lambda dtype: Order[type(dtype) if isinstance(dtype, pl.DataType) else dtype])
    if {one, other} == {pl.Date, pl.Datetime("us")}:
        return pl.Datetime("us")
    return pl.String
