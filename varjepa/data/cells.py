"""Expressions that read the cells of a column of any type: as numbers, as text, as flags."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import polars as pl
from polars import selectors

from varjepa.errors import DataError

NUMBER_SHARE = 0.9
"""A text column counts as damaged if more than this share of its values, but not all, are numbers or dates."""

TRUE_WORDS = ("true", "t", "yes", "y", "1", "1.0", "on", "ja", "j", "wahr", "oui", "o", "vrai", "sí", "si", "s")
FALSE_WORDS = ("false", "f", "no", "n", "0", "0.0", "off", "nein", "falsch", "non", "faux")
"""What means true and false in a column that was learned as true or false, in lower case."""

_Cells = TypeVar("_Cells", pl.Expr, pl.Series)


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


def stored(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The frame with what columns of extension types store: of periods of pandas, whole numbers."""
    names = [name for name, dtype in frame.collect_schema().items() if isinstance(dtype, pl.BaseExtension)]
    return frame.with_columns(column(name).ext.storage() for name in names) if names else frame


def in_common_types(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The frame with categories as text, and `stored`."""
    frame = stored(frame)
    words = [column(name).cast(pl.String) for name, dtype in frame.collect_schema().items()
             if dtype in (pl.Categorical, pl.Enum)]  # fmt: skip
    return frame.with_columns(words) if words else frame


def untyped(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """The frame `stored`, and columns that have no cell without a type: pandas holds what is missing as numbers.

    Args:
        frame: any.
        names: of the columns to look at, which the frame may lack.
    """
    frame = stored(frame.lazy()).collect()
    there = [name for name in names if name in frame.columns and frame.height]
    empty = [name for name in there if not _present(nameless(frame[name]))]
    return frame.with_columns(pl.lit(None).alias(name) for name in empty)


def _present(cells: pl.Series) -> int:
    """Number of cells that are neither null nor NaN."""
    return cells.len() - (cells.fill_nan(None) if cells.dtype.is_float() else cells).null_count()


def nameless(cells: pl.Series) -> pl.Series:
    """The same cells without a name: in most methods of a series Polars takes its name `^a.*$` for a pattern, too."""
    return cells.alias("")


LARGEST = 1e100
"""Numbers from here on count as missing, like infinity: no measurement is so large, and their cubes overflow."""


def without_gaps(
    cells: pl.Expr, gaps: Iterable[str] = (), known: Iterable[str] = (), exact: Iterable[str] = ()
) -> pl.Expr:
    """The text with null in place of blank cells and gap words, which may have blanks around them.

    Args:
        cells: of a column of text.
        gaps: words that mean a missing cell in any case, such as NONE and none.
        known: cells that are kept as they stand.
        exact: words that mean a missing cell as they are written.
    """
    bare, kept = cells.str.strip_chars(), list(known)
    missing, words, written = bare == "", sorted({gap.strip().lower() for gap in gaps}), sorted({*exact})
    if words:  # most columns have none, and need no lower case
        missing |= bare.str.to_lowercase().is_in(words)
    if written:
        missing |= bare.is_in(written)
    if kept:
        missing &= cells.is_in(kept).not_()
    return pl.when(missing.not_()).then(cells)


def finite(cells: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The column with null in place of NaN, infinities and numbers from `LARGEST` on."""
    return pl.when(cells.is_between(-LARGEST, LARGEST, closed="none")).then(cells) if dtype.is_float() else cells


def reads_plainly(cells: _Cells) -> _Cells:
    """Whether each cell of text is a number or a date in the spelling that every program reads; null where missing."""
    text = cells.str.strip_chars()
    # 2019-02-29 looks like a date and is none.
    day = text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).is_not_null() | text.is_null()
    dated = text.str.contains(r"^\d{4}-\d{2}-\d{2}([ T]([01]\d|2[0-3]):|$)") & day
    return text.cast(pl.Float64, strict=False).is_not_null() | dated


def mapped(name: str, function: Callable[[pl.Series], pl.Series], dtype: pl.DataType) -> pl.Expr:
    """The column after a function of its cells, each of which counts alone.

    Methods of a series take its name for a pattern, too, so that the function gets the cells under a plain name.
    """

    def of_cells(cells: pl.Series) -> pl.Series:
        return function(nameless(cells)).alias(cells.name)

    return column(name).map_batches(of_cells, return_dtype=dtype, is_elementwise=True)


def beyond_counts(frame: pl.LazyFrame) -> dict[str, int]:
    """Columns with infinities and numbers from `LARGEST` on -> how many cells; read as a stream."""
    floats = [name for name, dtype in frame.collect_schema().items() if dtype.is_float()]
    beyond = [
        (column(name).is_not_nan() & ~column(name).is_between(-LARGEST, LARGEST, closed="none")).sum()
        for name in floats
    ]
    counts = frame.select(beyond).collect(engine="streaming") if floats else pl.DataFrame()
    return {name: int(cells[0]) for name, cells in counts.to_dict().items() if cells[0]}


def without_beyond(frame: pl.LazyFrame, names: Iterable[str]) -> pl.LazyFrame:
    """The frame with null in place of such cells, so that a data contract counts them as missing, too."""
    schema = frame.collect_schema()
    return frame.with_columns(finite(column(name), schema[name]).alias(name) for name in names)


def beyond_words(count: int) -> str:
    """What is said about such cells."""
    return f"{count:,} cell(s) beyond {LARGEST:g} count as missing, as no measurement is so large"


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
    """Float64 expression of a column, null where missing; dates as days since 1970.

    Raises:
        DataError: the column holds something else, such as dates where numbers were learned: 2015 is no day of 1975.
    """
    cells = column(name)
    if kind == "date" and dtype == pl.String:
        cells, dtype = cells.str.to_datetime(strict=True), pl.Datetime("us")
    dates = kind == "date"
    if dtype in (pl.Date, pl.Datetime) and dates:
        # Microseconds since 1970, divided by the microseconds of a day.
        return cells.cast(pl.Datetime("us")).dt.timestamp("us") / 86_400e6
    if dtype == pl.String:
        return finite(cells.str.strip_chars().cast(pl.Float64), pl.Float64())
    if not (dtype == pl.Null if dates else dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
        wanted = "dates" if dates else "numbers"
        raise DataError(f'The column "{name}" is of type {dtype}.', expected=f"Expected {wanted}.")
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
    """Booleans in a column of text, in any of the usual words, as "1" and "0"; other text stays, without blanks.

    Examples:
        >>> pl.DataFrame({"paid": ["Yes", " f ", "1.0", "perhaps"]}).select(boolean_words("paid"))["paid"].to_list()
        ['1', '0', '1', 'perhaps']
    """
    words = dict.fromkeys(TRUE_WORDS, "1") | dict.fromkeys(FALSE_WORDS, "0")
    return column(name).str.strip_chars().str.to_lowercase().replace(words)


def boolean_pair(words: Sequence[str]) -> tuple[str, str]:
    """The words for false and true: those same words where a column of text had them, otherwise "0" and "1".

    Examples:
        >>> boolean_pair(["0", "1"]), boolean_pair(["False", "TRUE", "maybe"]), boolean_pair(["no", "yes"])
        (('0', '1'), ('False', 'TRUE'), ('0', '1'))
    """
    same = {word.strip().lower(): word for word in words}
    return same.get("false", "0"), same.get("true", "1")


def as_words(name: str, words: Sequence[str]) -> pl.Expr:
    """String expression of a Boolean column: the words for false and true among `words`."""
    no, yes = map(pl.lit, boolean_pair(words))
    return pl.when(column(name)).then(yes).when(column(name).not_()).then(no)


def positions(cells: pl.Expr, dtype: pl.DataType, words: Sequence[str]) -> pl.Expr:
    """Expression: the position of each of the `plain_cells` in `words`, null if it is not among them."""
    if dtype != pl.Boolean:
        return cells.cast(pl.Enum(words), strict=False).to_physical()
    # Booleans are not converted to text, because that takes sixteen times as long.
    no, yes = (pl.lit(words.index(word) if word in words else None, pl.UInt32) for word in boolean_pair(words))
    return pl.when(cells).then(yes).when(cells.not_()).then(no)
