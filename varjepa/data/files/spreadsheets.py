"""Sheets of Excel and OpenDocument files."""

import logging
from datetime import date
from pathlib import Path

import fastexcel
import polars as pl

from varjepa.data.files.damage import empty, require_different, require_names
from varjepa.data.files.header import made_names, names_among_values, values_as_names
from varjepa.errors import DataError, listed, nearest

# It warns of every column without a cell, also of rows that are read only to look for the header.
logging.getLogger("fastexcel").setLevel(logging.ERROR)

_HEAD = 50
"""Rows of a sheet in which the header is looked for."""

_DAY_ZERO = date(1899, 12, 31)
"""Of a time of day, which in a sheet is a share of a day: the first day there is has the number 1."""


def read_sheet(place: Path, file: Path, *, wanted: str | None, header: bool | None) -> tuple[pl.DataFrame, list[str]]:
    """The table of a spreadsheet, and what is unusual.

    Args:
        place: of the file.
        file: as its user knows it.
        wanted: `data.sheet`; None for the first that is not empty.
        header: `data.header`.

    Raises:
        DataError: there is no such sheet, it is empty, or it has no usable header.
        OSError: the file is damaged.
    """
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
        table, notes = _table_of(book, chosen, file, header=header)
    except fastexcel.FastExcelError as error:
        raise OSError(str(error).splitlines()[0]) from None
    if others and wanted is None:
        notes.append(f'Read the sheet "{chosen}"; also filled: {listed(others)} (data.sheet chooses).')
    return table, notes


def _table_of(
    book: fastexcel.ExcelReader, name: str, file: Path, *, header: bool | None
) -> tuple[pl.DataFrame, list[str]]:
    """The table of a sheet, whose header is the first row with as many cells as any below it."""
    head = book.load_sheet(name, header_row=None, skip_rows=0, n_rows=_HEAD, dtypes="string").to_polars()
    filled = [sum(cell is not None and cell.strip() != "" for cell in row) for row in head.iter_rows()]
    if not filled or not max(filled):
        raise empty(file)
    width = max(filled)
    first = filled.index(width)
    if first and width > 2 and filled[first - 1] == width - 1:
        first -= 1  # the first column has no name
    names = [_text(cell) for cell in head.row(first)]
    if header is False:
        names = made_names(len(names))
    below = [] if header is not None else [tuple(map(_text, row)) for row in head.rows()[first + 1 :]]
    require_names(values_as_names(tuple(names), below) if header is None else (), file, "row")
    require_different([each for each in names if each], file)
    skipped = first if header is False else first + 1
    table = book.load_sheet(name, header_row=None, skip_rows=skipped, schema_sample_rows=None).to_polars()
    table = _named(_with_all_digits(table, book, name, skipped), names, file)
    rows = table.filter(~pl.all_horizontal(pl.all().is_null()))
    notes = [f"{first} rows before the header skipped."] if first else []
    notes += names_among_values(tuple(names), below)
    if blank := table.height - rows.height:
        notes.append(f"{blank:,} blank {'row' if blank == 1 else 'rows'} skipped.")
    return rows, notes


def _with_all_digits(table: pl.DataFrame, book: fastexcel.ExcelReader, name: str, skipped: int) -> pl.DataFrame:
    """The table with all digits of numbers in columns that mix them with text: as text, the reader rounds 1.5e-12 to 0.

    Args:
        table: rows of the sheet.
        book: the spreadsheet.
        name: of the sheet.
        skipped: rows before those of the table.
    """
    mixed = [at for at, dtype in enumerate(table.dtypes) if dtype == pl.String]
    if not mixed:
        return table
    sheet = book.load_sheet(name, header_row=None, skip_rows=skipped, schema_sample_rows=None, dtypes="float")
    exact = sheet.to_polars()
    return table.with_columns(_exact(table.to_series(at), exact.to_series(at)) for at in mixed)


def _exact(text: pl.Series, numbers: pl.Series) -> pl.Series:
    """Text with all digits where it is a number that was rounded; 1.50 and 007 are no other numbers than 1.5 and 7."""
    rounded = (text.cast(pl.Float64, strict=False) != numbers).fill_null(value=False)
    return numbers.cast(pl.String).zip_with(rounded, text).rename(text.name)


def _text(cell: str | None) -> str:
    return "" if cell is None else cell.strip()


def _named(table: pl.DataFrame, names: list[str], file: Path) -> pl.DataFrame:
    """The table under its names, without unnamed columns that hold nothing."""
    columns = {}
    for name, column in zip(names, table.get_columns(), strict=False):
        if not name and column.null_count() == len(column):
            continue
        if name in columns:
            raise DataError(f"{file} has several columns without a name.", fix="Name them in the header row.")
        columns[name] = _meant(column).alias(name)
    return pl.DataFrame(columns)


def _meant(column: pl.Series) -> pl.Series:
    """Whole numbers, days and times of day as such: spreadsheets know decimals and moments only."""
    if column.dtype == pl.Float64:
        whole = ((column == column.round()) & (column.abs() < 2**53)).all()
        return column.cast(pl.Int64) if whole else column
    if column.dtype != pl.Datetime or not column.count():
        return column
    days = column.dt.date()
    if (days <= _DAY_ZERO).all():
        return column.dt.time()
    return days if (column == days.cast(column.dtype)).all() else column
