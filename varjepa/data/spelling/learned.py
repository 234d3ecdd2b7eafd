"""Expressions that read a column as a finished model learned it, of whatever type it is now."""

import re
from collections.abc import Callable, Sequence

import polars as pl

from varjepa.config.data import ColumnSection
from varjepa.data.cells import as_number, boolean_words, column, finite, mapped, named_type, plain_cells
from varjepa.data.spelling.numbers import PLAIN
from varjepa.data.spelling.readers import Reader, native_numbers, reader_of
from varjepa.data.spelling.words import described
from varjepa.errors import DataError

DATES = ("%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d")
"""How text is read in a date column that was no text when it was learned: as Polars infers dates."""

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
    dates = reader is not None and reader.family == "dates"
    if dtype == pl.String or (dates and dtype.is_numeric()):
        reader = reader or Reader(DATES if kind == "date" else (PLAIN,))
        return finite(mapped(name, _strict(name, reader), pl.Float64()), pl.Float64())
    if dtype in (pl.Duration, pl.Time):
        return mapped(name, native_numbers, pl.Float64())
    return as_number(name, kind, dtype)


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
        return _padded(plain_cells(name, dtype), known) if dtype.is_numeric() else plain_cells(name, dtype)
    if learned == "String":
        return column(name)
    reader = None if spelling is None else reader_of(spelling, name)
    if learned == "Boolean" or (reader is None and {*known} == {"0", "1"}):  # databases have no other booleans
        return boolean_words(name)
    if reader is None and not named_type(learned).is_numeric():
        return column(name)
    plain = (reader or Reader((PLAIN,))).plain
    return mapped(name, lambda cells: plain(cells).str.strip_chars(), pl.String())


def _padded(numbers: pl.Expr, known: Sequence[str]) -> pl.Expr:
    """Numbers as text, with the leading zeros that spreadsheets and pandas take from codes such as 00501.

    Args:
        numbers: of a column, as text.
        known: the words that were learned; codes are digits only, all of one length, some with a zero in front.
    """
    lengths = {len(word) for word in known}
    codes = len(lengths) == 1 and all(word.isdecimal() for word in known) and any(word[0] == "0" for word in known)
    return numbers.str.zfill(lengths.pop()) if codes and lengths != {1} else numbers
