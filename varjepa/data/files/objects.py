"""Reads JSON objects as rows: quickly where all objects are alike, cell by cell where their types differ."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from varjepa.errors import DataError


def json_frame(place: Path, *, lines: bool) -> pl.LazyFrame:
    """The rows of a file of JSON objects.

    Cells of one column that are of several types are text. NaN and Infinity, which Python writes, are numbers.

    Args:
        place: JSON lines, or an array of objects.
        lines: which of them.

    Raises:
        OSError: the file is no JSON.
        DataError: it holds something else than objects.
    """
    try:
        if lines:
            frame = pl.scan_ndjson(place, infer_schema_length=None)
            frame.select(pl.all().count()).collect(engine="streaming")
            return frame
        return pl.read_json(place, infer_schema_length=None).lazy()
    except pl.exceptions.PolarsError:
        return _of_differing_types(place, lines=lines).lazy()


def _of_differing_types(place: Path, *, lines: bool) -> pl.DataFrame:
    try:
        rows = list(_objects(place, lines=lines))
    except (ValueError, RecursionError) as error:
        raise OSError(f"it is no JSON: {error}") from None
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{place} holds JSON that is no table.", expected="Expected JSON objects, one for each row.")
    names = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame({name: _column(name, [row.get(name) for row in rows]) for name in names})


def _objects(place: Path, *, lines: bool) -> Iterator[Any]:
    with place.open(encoding=_encoding(place)) as stream:
        if not lines:
            yield from json.load(stream)
            return
        for line in stream:
            if line.strip():
                yield json.loads(line)


def _encoding(place: Path) -> str:
    with place.open("rb") as stream:
        encoding = json.detect_encoding(stream.read(4))
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _column(name: str, cells: list[Any]) -> pl.Series:
    """Numbers, booleans or text; text as well where these are mixed, nested cells as they are where they are alike."""
    kinds = {type(cell) for cell in cells if cell is not None}
    try:
        if kinds <= {int, float}:
            return pl.Series(name, cells, dtype=pl.Float64 if float in kinds else None, strict=True)
        if len(kinds) == 1:
            return pl.Series(name, cells)
    except (pl.exceptions.PolarsError, TypeError, OverflowError):
        pass  # nested cells that differ, or whole numbers beyond all types
    return pl.Series(name, [cell if cell is None or isinstance(cell, str) else json.dumps(cell) for cell in cells])
