"""Formats that bring their types along: Parquet, Arrow, Excel and JSON."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import fastexcel
import polars as pl
import polars.selectors as cs

from varjepa.data.files.damage import empty, require_different
from varjepa.data.files.objects import json_frame
from varjepa.data.files.part import Part
from varjepa.data.files.stage import Stage
from varjepa.errors import DataError, listed, nearest

_Place = TypeVar("_Place")
_HEAD = 50
"""Rows of a sheet in which the header is looked for."""


def columnar_parts(
    opened: Sequence[tuple[Path, Path, Mapping[str, str | None]]], kind: str, sheet: str | None, stage: Stage
) -> tuple[list[Part], list[str]]:
    """One part for each run of files with the same columns, and notes.

    Args:
        opened: files without compression, the files that the user knows, and keys of their folders.
        kind: parquet, ipc, ipc stream, excel, json or json lines.
        sheet: of spreadsheets; None for the first.
        stage: for streams, which are rewritten as files.
    """
    parts: list[Part] = []
    notes: list[str] = []
    run: list[Path] = []
    for place, file, keys in opened:
        frames, more = _open(place, file, kind, sheet, stage)
        notes += more
        schema = dict(frames([place]).collect_schema())
        same = parts and parts[-1].keys == keys and list(parts[-1].schema.items()) == list(schema.items())
        if same and kind in _LISTS:
            run.append(place)
            continue
        run = [place]
        parts.append(Part(file, schema, reader_of(frames, run, schema), keys))
    return parts, notes


def reader_of(
    frames: Callable[[list[_Place]], pl.LazyFrame], run: list[_Place], schema: Mapping[str, pl.DataType]
) -> Callable[[Mapping[str, pl.DataType]], pl.LazyFrame]:
    """Reads files, whose list still grows, in the types that are asked for."""

    def read(types: Mapping[str, pl.DataType]) -> pl.LazyFrame:
        casts = {name: dtype for name, dtype in types.items() if dtype != schema[name]}
        frame = frames(run)
        frame = frame.with_columns(cs.by_name(name).cast(dtype) for name, dtype in casts.items()) if casts else frame
        return frame if len(types) == len(schema) else frame.select(cs.by_name(*types))

    return read


_LISTS: dict[str, Callable[[list[Path]], pl.LazyFrame]] = {
    "parquet": lambda files: pl.scan_parquet(files, glob=False, hive_partitioning=False),
    "ipc": lambda files: pl.scan_ipc(files, hive_partitioning=False),
}
"""Readers of many files with the same columns."""


def _open(
    place: Path, file: Path, kind: str, sheet: str | None, stage: Stage
) -> tuple[Callable[[list[Path]], pl.LazyFrame], list[str]]:
    if kind in _LISTS:
        return _LISTS[kind], []
    if kind == "ipc stream":
        frame = pl.scan_ipc(_file_of_stream(place, file, stage))
    elif kind in ("json", "json lines"):
        frame = json_frame(place, lines=kind == "json lines")
    else:
        table, notes = _sheet(place, file, sheet)
        return lambda _: table.lazy(), notes
    return lambda _: frame, []


def _file_of_stream(place: Path, file: Path, stage: Stage) -> Path:
    """An Arrow stream rewritten as a file, which can be read in parts."""
    from pyarrow import ArrowInvalid, OSFile, RecordBatchFileWriter, ipc  # noqa: PLC0415 (costs time, needed here alone)

    copy = stage.place(f"{file.name}.arrow")
    try:
        with (
            OSFile(str(place)) as source,
            ipc.open_stream(source) as stream,
            RecordBatchFileWriter(str(copy), stream.schema) as target,
        ):
            for batch in stream:
                target.write_batch(batch)
    except ArrowInvalid as error:
        raise OSError(str(error).splitlines()[0]) from None
    return copy


def _sheet(place: Path, file: Path, wanted: str | None) -> tuple[pl.DataFrame, list[str]]:
    """The sheet that is asked for, or the first that is not empty."""
    try:
        book = fastexcel.read_excel(place)
        names = book.sheet_names
        if wanted is not None and wanted not in names:
            raise DataError(
                f'{file} has no sheet "{wanted}".', fix=nearest(wanted, names) or f"Sheets: {listed(names)}."
            )
        full = [name for name in names if book.load_sheet(name, header_row=None, n_rows=1).total_height]
        if not full:
            raise empty(file)
        chosen = wanted or full[0]
        others = [name for name in full if name != chosen]
        table, notes = _table_of(book, chosen, file)
    except fastexcel.FastExcelError as error:
        raise OSError(str(error).splitlines()[0]) from None
    if others and wanted is None:
        notes.append(f'Read the sheet "{chosen}"; also filled: {listed(others)} (data.sheet chooses).')
    return table, notes


def _table_of(book: fastexcel.ExcelReader, name: str, file: Path) -> tuple[pl.DataFrame, list[str]]:
    """The table of a sheet, whose header is the first row with as many cells as any below it."""
    head = book.load_sheet(name, header_row=None, skip_rows=0, n_rows=_HEAD, dtypes="string").to_polars()
    filled = [sum(cell is not None and cell.strip() != "" for cell in row) for row in head.iter_rows()]
    if not filled or not max(filled):
        raise empty(file)
    width = max(filled)
    first = filled.index(width)
    if first and width > 2 and filled[first - 1] == width - 1:
        first -= 1  # the first column has no name
    names = ["" if cell is None else cell.strip() for cell in head.row(first)]
    require_different([each for each in names if each], file)
    table = book.load_sheet(name, header_row=None, skip_rows=first + 1, schema_sample_rows=None).to_polars()
    table = _named(table, names, file)
    rows = table.filter(~pl.all_horizontal(pl.all().is_null()))
    notes = [f"{first} rows before the header skipped."] if first else []
    if blank := table.height - rows.height:
        notes.append(f"{blank:,} blank {'row' if blank == 1 else 'rows'} skipped.")
    return rows, notes


def _named(table: pl.DataFrame, names: list[str], file: Path) -> pl.DataFrame:
    """The table under its names, without unnamed columns that hold nothing."""
    columns = {}
    for name, column in zip(names, table.get_columns(), strict=False):
        if not name and column.null_count() == len(column):
            continue
        if name in columns:
            raise DataError(f"{file} has several columns without a name.", fix="Name them in the header row.")
        columns[name] = _whole(column).alias(name)
    return pl.DataFrame(columns)


def _whole(column: pl.Series) -> pl.Series:
    """Whole numbers as such: spreadsheets know decimals only."""
    if column.dtype != pl.Float64 or not ((column == column.round()) & (column.abs() < 2**53)).all():
        return column
    return column.cast(pl.Int64)
