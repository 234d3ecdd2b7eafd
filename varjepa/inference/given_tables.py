"""Tables as people hold them, frames of Polars, pandas and Arrow and arrays, as frames of Polars."""

from collections.abc import Collection
from itertools import compress
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varjepa.data.cells import by_name
from varjepa.errors import DataError, listed


def is_arrow(table: Any) -> bool:
    """Whether a table is none of Polars or pandas, and hands its columns over as Arrow: PyArrow's, DuckDB's, ...

    Examples:
        >>> is_arrow(pl.DataFrame({"a": [1]})), is_arrow(pl.DataFrame({"a": [1]}).to_arrow())
        (False, True)
    """
    if isinstance(table, pl.DataFrame | pl.Series) or hasattr(table, "iloc"):
        return False
    return hasattr(table, "__arrow_c_stream__") and (hasattr(table, "column_names") or hasattr(table, "columns"))


def at_hand(table: Any) -> Any:
    """A table in memory: what is lazy is computed, and what comes as Arrow is a frame of Polars; others stay."""
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    return pl.DataFrame(table) if is_arrow(table) else unmasked(table)


def unmasked(values: Any) -> Any:
    """An array with a mask as one in which its masked values are missing: others would read them as data. Others stay.

    Examples:
        >>> unmasked(np.ma.masked_array([1, 2], mask=[False, True])).tolist(), unmasked([3])
        ([1.0, nan], [3])
    """
    if not isinstance(values, np.ma.MaskedArray):
        return values
    is_number = values.dtype.kind in "iufb"
    # A type with room for what is missing: `filled` keeps the type of the array.
    wider = np.ma.masked_array(values.data, mask=values.mask, dtype=np.float64 if is_number else np.object_)
    return wider.filled(np.nan if is_number else None)


def without(table: Any, names: Collection[str | None]) -> Any:
    """A frame of Polars or pandas without some columns, of which it may lack any."""
    kept = [str(name) not in names for name in table.columns]
    if all(kept):
        return table
    if isinstance(table, pl.DataFrame):
        return table.select(by_name(compress(table.columns, kept)))
    return table.loc[:, kept]


def from_pandas(table: Any) -> pl.DataFrame:
    """A Polars frame from one of pandas, without its index.

    Raises:
        DataError: a column holds several types, or one that is unknown here, or two columns have the same name.
    """
    names = [str(name) for name in table.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"The table has several columns named {listed(twice)}.", expected="Expected every name once.")
    # By name: in a list of columns, Polars gives the one with the empty name another.
    return pl.DataFrame({name: _from_pandas(name, table.iloc[:, place]) for place, name in enumerate(names)})


def _from_pandas(name: str, cells: Any) -> pl.Series:
    try:
        return pandas_column(cells).alias(name)
    except (pl.exceptions.PolarsError, ValueError, TypeError, OverflowError) as error:
        kinds = sorted({type(cell).__name__ for cell in cells.dropna()})
        raise DataError(
            f'The column "{name}" holds cells of the types {listed(kinds)}.',
            expected="Expected one type per column.",
            fix=f"For text: table[{name!r}] = table[{name!r}].astype('string').",
        ) from error
    except NotImplementedError as error:
        raise DataError(
            f'The column "{name}" is of type {cells.dtype}.',
            expected="Expected numbers, text, dates, or true and false.",
        ) from error


def pandas_column(cells: Any) -> pl.Series:
    """A column of pandas in Polars: intervals, as `pandas.cut` makes them, as text, and sparse columns as full ones.

    Raises:
        TypeError, ValueError, OverflowError, PolarsError, NotImplementedError: by Polars, of cells that it cannot hold.
    """
    dtype = getattr(getattr(cells.dtype, "categories", cells), "dtype", cells.dtype)  # of categories, theirs
    if str(dtype).startswith("interval"):
        cells = cells.astype("string")
    elif str(dtype).startswith("Sparse"):
        cells = cells.sparse.to_dense()
    elif dtype == np.longdouble:
        cells = cells.astype(np.float64)
    return pl.from_pandas(cells)


def array_column(values: NDArray[Any]) -> pl.Series:
    """A column of an array. Objects become numbers if all of them are numbers, otherwise text."""
    if values.dtype == np.longdouble:
        values = values.astype(np.float64)
    if values.dtype.kind != "O":
        return pl.Series(values)
    try:
        return pl.Series(values.astype(np.float64), nan_to_null=True)
    except (TypeError, ValueError):
        return pl.Series([None if value is None or value != value else str(value) for value in values])  # noqa: PLR0124 (NaN)
