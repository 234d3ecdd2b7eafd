"""Expressions that read a column as a finished model learned it, of whatever type it is now."""

import re
from collections.abc import Callable, Sequence
from typing import Literal
from unicodedata import is_normalized

import polars as pl

from varjepa.config.data import ColumnSection
from varjepa.data.cells import as_number, boolean_words, column, finite, mapped, named_type, plain_cells
from varjepa.data.spelling.dates import ISO
from varjepa.data.spelling.numbers import PLAIN
from varjepa.data.spelling.readers import Reader, native_numbers, reader_of
from varjepa.data.spelling.words import described
from varjepa.errors import DataError

DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y")
"""How text and whole numbers are read in a date column that was learned without a spelling. 03/04/2015 is not: whether
it means March or April would be a guess.
"""

DRESSED_CODE = r"^(?:=\"|')?([0-9]+)(?:\.0+)?\"?$"
"""A code in what programs put around it, or without its leading zeros."""

UNREAD = re.compile(r'the (?P<found>column ".*" holds text, for example ".*") \(expected (?P<expected>.*)\)')
"""What Polars' error says of cells that `learned_number` cannot read; Polars keeps no more than its text."""


def learned_number(name: str, kind: str, dtype: pl.DataType, spelling: ColumnSection | None = None) -> pl.Expr:
    """Float64 expression of a column, null where missing; dates as days since 1970.

    Args:
        name: of the column.
        kind: numeric or date.
        dtype: of the column now.
        spelling: how its text is to be read; None for the spelling that every program reads.

    Raises:
        DataError: the column is of a type that holds no numbers.
    """
    reader = None if spelling is None else reader_of(spelling, name)
    dates = kind == "date" if reader is None else reader.family == "dates"
    if dtype == pl.String or (dates and dtype.is_numeric()):
        reader = _with_iso(reader) if reader else Reader(DATES if dates else (PLAIN,))
        return finite(mapped(name, _strict(name, reader), pl.Float64()), pl.Float64())
    if dtype in (pl.Duration, pl.Time) and not dates:
        return mapped(name, native_numbers, pl.Float64())
    return as_number(name, kind, dtype)


def _with_iso(reader: Reader) -> Reader:
    """The reader with ISO dates behind its own formats: other programs write dates so, and requests in JSON must.

    Of 2015-02-03 no other reading is known, unless the column itself writes years, days and months.
    """
    if reader.family != "dates" or any(form.startswith("%Y-%d") for form in reader.formats):
        return reader
    return reader if ISO in reader.formats else Reader((*reader.formats, ISO), reader.gaps)


def not_as_learned(error: pl.exceptions.PolarsError, use: str) -> DataError:
    """The error to raise where a column does not hold what a finished model has learned from it.

    Args:
        error: of Polars.
        use: what was to be done with the rows, such as "encoded".
    """
    reason = str(error).strip().splitlines()[0]
    unread = UNREAD.search(reason)
    if unread is None:
        return DataError(f"The rows cannot be {use}: {reason}.", expected="Expected the types of training.")
    return DataError(
        f"The rows cannot be {use}: the {unread['found']}.", expected=f"Expected {unread['expected']}, as in training.",
        fix="Correct such cells, or leave them empty.",
    )  # fmt: skip


def _strict(name: str, reader: Reader) -> Callable[[pl.Series], pl.Series]:
    """Reads text as numbers; raises Polars' error for a failed conversion where it cannot."""

    def read(cells: pl.Series) -> pl.Series:
        values = reader.values(cells)
        unread = cells.filter(reader.unread(cells, values))
        if len(unread):
            found = f'the column "{name}" holds text, for example "{unread[0]}"'
            raise pl.exceptions.InvalidOperationError(f"{found} (expected {described(reader)})")
        # Microseconds since 1970, divided by the microseconds of a day.
        return values.dt.timestamp("us") / 86_400e6 if values.dtype == pl.Datetime else values

    return read


def learned_cells(
    name: str, learned: str, dtype: pl.DataType, known: Sequence[str] = (), spelling: ColumnSection | None = None
) -> pl.Expr:
    """The words of a column that may have been learned as another type: files and requests hold numbers as text, too.

    A Boolean column stays unchanged.

    Args:
        name: of the column.
        learned: name of the type that the words of the column were learned from.
        dtype: of the column now.
        known: the words that were learned.
        spelling: how its text is to be read; None for the spelling that every program reads.
    """
    if dtype != pl.String:
        length = _code_length(known) if dtype.is_numeric() else 0
        return plain_cells(name, dtype).str.zfill(length) if length else plain_cells(name, dtype)
    if learned == "String":
        return _composed(_padded(column(name), known), known)
    reader = None if spelling is None else reader_of(spelling, name)
    if learned == "Boolean" or (reader is None and {*known} == {"0", "1"}):  # databases have no other booleans
        return boolean_words(name)
    if reader is None and not named_type(learned).is_numeric():
        return column(name)
    plain = (reader or Reader((PLAIN,))).plain
    return mapped(name, lambda cells: plain(cells).str.strip_chars(), pl.String())


def _padded(cells: pl.Expr, known: Sequence[str]) -> pl.Expr:
    """Text with the codes in it as they were learned: spreadsheets and pandas write 501.0, 501 and ="00501" for 00501.

    Args:
        cells: of a column of text.
        known: the words that were learned.
    """
    length = _code_length(known)
    if not length:
        return cells
    digits = cells.str.strip_chars().str.extract(DRESSED_CODE).str.zfill(length)
    return pl.coalesce(digits, cells)


def _composed(cells: pl.Expr, known: Sequence[str]) -> pl.Expr:
    """Text in the form of Unicode that the words were learned in: an ü is one character or two, as programs like it.

    Args:
        cells: of a column of text.
        known: the words that were learned.
    """
    text = "".join(known)
    form: Literal["NFC", "NFD"] = "NFC" if is_normalized("NFC", text) else "NFD"
    return cells if text.isascii() or not is_normalized(form, text) else cells.str.normalize(form)


def _code_length(known: Sequence[str]) -> int:
    """The length of codes with leading zeros, such as 00501; 0 where words are no such codes or differ in length."""
    lengths = {len(word) for word in known}
    codes = len(lengths) == 1 and all(word.isdecimal() for word in known) and any(word[0] == "0" for word in known)
    return lengths.pop() if codes and lengths != {1} else 0
