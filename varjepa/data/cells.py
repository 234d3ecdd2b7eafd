"""Expressions that read the cells of a column of any type: as numbers, as text, as flags."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl
from polars import selectors

from varjepa.errors import DataError


def column(name: str) -> pl.Expr:
    """The column of this very name. `pl.col` takes `*` for all columns, and `^a.*$` for a pattern; so do bare names.

    Examples:
        >>> pl.DataFrame({"*": [1], "a": [2]}).select(column("*")).columns
        ['*']
    """
    return selectors.by_name(name).as_expr()


def by_name(names: Iterable[str]) -> list[pl.Expr]:
    """The columns of these very names, in this order."""
    return [column(name) for name in names]


def retyped(frame: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The columns of a schema, in its types and order."""
    return frame.select(column(name).cast(dtype) for name, dtype in schema.items())


def nameless(cells: pl.Series) -> pl.Series:
    """The same cells without a name: in most methods of a series Polars takes its name `^a.*$` for a pattern, too."""
    return cells.alias("")


def finite(cells: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The column with null in place of NaN and infinities."""
    return pl.when(cells.is_finite()).then(cells) if dtype.is_float() else cells


def flag(name: str, dtype: pl.DataType) -> pl.Expr:
    """A 0/1 column as whole numbers; null where the cell is missing or another number.

    Raises:
        DataError: the column holds text.
    """
    cells = column(name)
    if dtype == pl.Boolean:
        return cells.cast(pl.Int64)
    if not (dtype.is_numeric() or dtype == pl.Null):
        raise DataError(f'The column "{name}" is of type {dtype}.', expected="Expected 0 and 1.")
    return pl.when((cells == 0) | (cells == 1)).then(cells).cast(pl.Int64)


def named_type(name: str) -> pl.DataType:
    """The Polars type of that name; String for types whose name does not determine their parameters.

    Examples:
        >>> named_type("Int64")
        Int64
    """
    if name.startswith("Datetime"):
        return pl.Datetime("us")
    dtype = getattr(pl, name, pl.String)
    return dtype() if isinstance(dtype, type) else pl.String()


def as_number(name: str, kind: str, dtype: pl.DataType) -> pl.Expr:
    """Float64 expression of a column, null where missing; dates as days since 1970."""
    cells = column(name)
    if kind == "date" and dtype == pl.String:
        cells, dtype = cells.str.to_datetime(strict=True), pl.Datetime("us")
    if dtype in (pl.Date, pl.Datetime):
        # Microseconds since 1970, divided by the microseconds of a day.
        return cells.cast(pl.Datetime("us")).dt.timestamp("us") / 86_400e6
    if dtype == pl.String:
        return finite(cells.str.strip_chars().cast(pl.Float64), pl.Float64())
    if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
        raise DataError(f'The column "{name}" is of type {dtype}.', expected="Expected numbers.")
    return finite(cells.cast(pl.Float64), pl.Float64())


def as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    """String expression of a column. The whole number 1 gives the same text if it is stored as 1, 1.0 or true."""
    cells = column(name)
    if dtype.is_float():
        cells = finite(cells, dtype)
        # Without the cast, the float 1.0 would become "1.0".
        whole = cells == cells.round()
        return pl.when(whole).then(cells.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(cells.cast(pl.String))
    if dtype == pl.Boolean:
        return cells.cast(pl.UInt8).cast(pl.String)
    return cells.cast(pl.String)


def plain_cells(name: str, dtype: pl.DataType) -> pl.Expr:
    """A Boolean column unchanged, any other column as text."""
    return column(name) if dtype == pl.Boolean else as_text(name, dtype)


def boolean_words(name: str) -> pl.Expr:
    """Booleans in a column of text, in any case, as "1" and "0"; other text stays, without blanks around it."""
    return column(name).str.strip_chars().str.to_lowercase().replace({"true": "1", "false": "0"})


def learned_cells(name: str, learned: str, dtype: pl.DataType) -> pl.Expr:
    """The same of a column that was learned as another type: files and requests may hold booleans and numbers as text.

    Args:
        name: of the column.
        learned: name of the type that the words of the column were learned from.
        dtype: of the column now.
    """
    if dtype != pl.String or learned == "String":
        return plain_cells(name, dtype)
    if learned == "Boolean":
        return boolean_words(name)
    text = column(name).str.strip_chars()
    if not named_type(learned).is_numeric():
        return column(name)
    number = finite(text.cast(pl.Float64, strict=False), pl.Float64())
    whole = (number == number.round()) & (number.abs() < 2**53)
    return pl.when(whole).then(number.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(text)


def positions(cells: pl.Expr, dtype: pl.DataType, words: Sequence[str]) -> pl.Expr:
    """Expression: the position of each of the `plain_cells` in `words`, null if it is not among them."""
    if dtype != pl.Boolean:
        return cells.cast(pl.Enum(words), strict=False).to_physical()
    # Booleans are not converted to text, because that takes sixteen times as long.
    no, yes = (pl.lit(words.index(word) if word in words else None, pl.UInt32) for word in "01")
    return pl.when(cells).then(yes).when(cells.not_()).then(no)
