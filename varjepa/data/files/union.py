"""Puts parts with different columns, orders and types together, by name and by one rule.

Columns keep the order of the first part; others follow in the order in which they appear, keys of folders last. A
column that a part lacks is null there. Numbers widen to numbers, dates to moments, categories to text, Null to whatever
the others have. Anything else becomes text where types were inferred, from CSV, Excel and JSON, and is an error where
they were declared.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import polars as pl
import polars.selectors as cs

from varjepa.data.files.part import Part
from varjepa.errors import DataError, listed

_TEXT = pl.String()
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)\.\d+")


def united(
    parts: Sequence[Part], *, declared: bool, text: Collection[str] = ()
) -> tuple[pl.LazyFrame, tuple[str, ...]]:
    """One frame of all rows, in the order of the parts, and notes.

    Args:
        parts: at least one.
        declared: files declare their types, as Parquet does.
        text: columns that are text whatever they hold.

    Raises:
        DataError: a column has types that do not go together.
    """
    types = _common_types(parts, declared=declared)
    types = {name: _TEXT if dtype == pl.Null() and not declared else dtype for name, dtype in types.items()}
    if not declared:
        types |= {name: _TEXT for name in types if name in text}
    keys = _key_types(parts, text)
    names = [*types, *(name for name in keys if name not in types)]
    frames = [_frame(part, types, keys, names) for part in parts]
    notes = [*_lacking(parts, types), *([f"Columns from the names of folders: {listed(keys)}."] if keys else [])]
    both = dict.fromkeys(name for part in parts for name in part.keys if name in part.schema)
    if both:
        notes.append(f"Names of folders give columns that the files have themselves, which are read: {listed(both)}.")
    return pl.concat(frames) if len(frames) > 1 else frames[0], tuple(notes)


def _common_types(parts: Sequence[Part], *, declared: bool) -> dict[str, pl.DataType]:
    types: dict[str, pl.DataType] = {}
    origin: dict[str, Path] = {}
    for part in parts:
        for name, dtype in part.schema.items():
            before = types.setdefault(name, dtype)
            if dtype == before:
                origin.setdefault(name, part.file)
                continue
            wider = widened(before, dtype)
            if wider is None and declared:
                raise DataError(
                    f'The column "{name}" of {part.file} is {dtype}, and {before} in {origin[name]}.',
                    expected="Expected types that go together, such as whole numbers and decimals.",
                    fix="Write the column with one type in all files, or leave one of them out.",
                )
            types[name] = wider or _TEXT
    return types


def widened(one: pl.DataType, other: pl.DataType) -> pl.DataType | None:
    """The narrowest type that holds the values of both, or None if they do not go together.

    Examples:
        >>> widened(pl.Int32(), pl.Float32()), widened(pl.Int8(), pl.String())
        (Float64, None)
    """
    if one == other:
        return one
    if one == pl.Null() or other == pl.Null():
        return other if one == pl.Null() else one
    kinds = {_kind(one), _kind(other)}
    if len(kinds) > 1:
        return None
    if kinds == {"text"}:
        return _TEXT
    if all(isinstance(dtype, pl.Datetime) and dtype.time_zone for dtype in (one, other)):
        one = other = pl.Datetime("us", "UTC")  # the same moments, whatever the zones
    try:
        both = pl.concat([pl.Series([], dtype=one).to_frame("x"), pl.Series([], dtype=other).to_frame("x")],
                         how="vertical_relaxed")  # fmt: skip
    except pl.exceptions.PolarsError:
        return None
    return both.schema["x"]


def _kind(dtype: pl.DataType) -> str:
    if dtype.is_numeric():
        return "number"
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return "text"
    return "moment" if isinstance(dtype, pl.Date | pl.Datetime) else str(dtype.base_type())


def _key_types(parts: Sequence[Part], text: Collection[str]) -> dict[str, pl.DataType]:
    """Types of the keys: whole numbers or decimals where all values are, else text."""
    values: dict[str, set[str]] = {}
    for part in parts:
        for name, value in part.keys.items():
            if name not in part.schema:
                values.setdefault(name, set()).update([] if value is None else [value])
    return {name: _TEXT if name in text else _key_type(found) for name, found in values.items()}


def _key_type(values: set[str]) -> pl.DataType:
    if values and all(_WHOLE.fullmatch(value) for value in values):
        return pl.Int64()
    if values and all(_WHOLE.fullmatch(value) or _DECIMAL.fullmatch(value) for value in values):
        return pl.Float64()
    return _TEXT


def _frame(
    part: Part, types: Mapping[str, pl.DataType], keys: Mapping[str, pl.DataType], names: Sequence[str]
) -> pl.LazyFrame:
    frame = part.read({name: types[name] for name in part.schema})
    absent = {name: pl.lit(None, dtype=types[name]) for name in types if name not in part.schema}
    for name, dtype in keys.items():
        if name not in part.schema:
            absent[name] = pl.lit(part.keys.get(name)).cast(dtype)
    if not absent and list(part.schema) == list(names):
        return frame
    return frame.with_columns(value.alias(name) for name, value in absent.items()).select(
        cs.by_name(name) for name in names
    )


def _lacking(parts: Sequence[Part], types: Mapping[str, pl.DataType]) -> list[str]:
    """A note for each set of files that lack the same columns."""
    found = dict[tuple[str, ...], list[str]]()
    for name in types:
        lacking = tuple(str(part.file.name) for part in parts if name not in part.schema and name not in part.keys)
        if lacking:
            found.setdefault(lacking, []).append(name)
    notes = []
    for files, names in found.items():
        columns, verb = ("column", "is") if len(names) == 1 else ("columns", "are")
        notes.append(f"The {columns} {listed(names)} {verb} missing in {listed(files, 3)}: read as null there.")
    return notes
