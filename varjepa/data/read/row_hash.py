"""Numbers that follow from what stands in a row: the same for the same content, wherever and however it is stored.

- A cell is a number, a text, or missing. Whole numbers are the same stored as 1, 1.0, true or "1"; fractions are
  compared as 32-bit floats; dates are numbers; missing cells (null, NaN, empty text) count for nothing, so that a
  column that is new and empty changes nothing.
- Columns count with their names, their order does not matter.
- The arithmetic is that of 64-bit integers in NumPy, not a hash of Polars', which promises none across its versions.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

CHUNK = 100_000
"""Rows hashed at a time."""

WHOLE = 2.0**53
"""Beyond this, floats are not known to the unit."""

NUMBER, TEXT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
"""Keep the number 7 and a text of the same bits apart."""

BASE = np.uint64(0x100000001B3)


def row_hashes(frame: pl.LazyFrame) -> Hashes:
    """A hash per row by all of its columns, in their order, uint64 [N]."""
    return np.concatenate([np.zeros(0, dtype=np.uint64), *hashes_in_pieces(frame)])


def hashes_in_pieces(frame: pl.LazyFrame, columns: Sequence[str] | None = None, seed: int = 0) -> Iterator[Hashes]:
    """A hash per row, in their order, some rows at a time; only their cells are in memory.

    Args:
        frame: the rows; columns named like `__this__` are ours and do not count.
        columns: the ones that count; None means all.
        seed: other seeds, other hashes.

    Yields:
        uint64 [n], for n rows after those before; nothing where there are no rows.
    """
    known = frame.collect_schema().names()
    names = [name for name in known if not name.startswith("__")] if columns is None else list(columns)
    start = mixed(np.array([seed], dtype=np.uint64))[0]
    rows = frame.select(pl.col(names)).with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    for batch in rows.collect_batches(chunk_size=CHUNK, maintain_order=True):
        total = np.zeros(batch.height, dtype=np.uint64)
        for name in names:
            total += mixed(cell_hashes(batch[name]) ^ _text_hashes(pl.Series([name]))[0], kept=batch[name])
        yield mixed(total ^ start)


def shares(hashes: Hashes) -> NDArray[np.float64]:
    """Hashes as numbers that are uniform in [0, 1)."""
    return (hashes >> np.uint64(11)) / 2.0**53


def mixed(values: Hashes, kept: pl.Series | None = None) -> Hashes:
    """Every bit of a value spreads over all bits (the finaliser of SplitMix64)."""
    x = values + NUMBER
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return x if kept is None else np.where(_there(kept), x, np.uint64(0))


def cell_hashes(cells: pl.Series) -> Hashes:
    """A hash per cell of a column; what stands for missing cells means nothing."""
    dtype = cells.dtype
    if dtype.is_integer() or dtype == pl.Boolean:
        return _whole_hashes(cells.cast(pl.Int64, strict=False).fill_null(0).to_numpy())
    if dtype in (pl.Date, pl.Datetime):
        return _whole_hashes(cells.cast(pl.Datetime("us")).cast(pl.Int64).fill_null(0).to_numpy())
    if dtype.is_numeric():
        return _number_hashes(cells.cast(pl.Float64).fill_null(0.0).to_numpy())
    if dtype == pl.Null:
        return np.zeros(len(cells), dtype=np.uint64)
    if dtype.is_nested():
        return _text_hashes(pl.Series([str(cell) for cell in cells.to_list()], dtype=pl.String))
    text = cells.cast(pl.String).fill_null("")
    words = text.unique()
    # Text costs ten times as much as a number, and mostly it repeats.
    if len(words) < len(text) / 2:
        text, places = words, text.cast(pl.Enum(words)).to_physical().to_numpy()
    else:
        places = np.arange(len(text))
    numbers = text.cast(pl.Float64, strict=False)
    as_numbers = _number_hashes(numbers.fill_null(0.0).to_numpy())
    return np.where(numbers.is_not_null().to_numpy(), as_numbers, _text_hashes(text))[places]


def _there(cells: pl.Series) -> NDArray[np.bool_]:
    """Which cells hold something."""
    there = cells.is_not_null()
    if cells.dtype.is_float():
        there &= cells.is_not_nan().fill_null(value=False)
    elif cells.dtype == pl.String:
        there &= (cells != "").fill_null(value=False)
    return there.to_numpy()


def _whole_hashes(values: NDArray[np.int64]) -> Hashes:
    return mixed(values.astype(np.int64).view(np.uint64) ^ NUMBER)


def _number_hashes(values: NDArray[np.float64]) -> Hashes:
    """Whole numbers as such, others by the bits that a 32-bit float has of them."""
    whole = (values == np.rint(values)) & (np.abs(values) < WHOLE)
    with np.errstate(over="ignore"):
        bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    return np.where(whole, _whole_hashes(np.where(whole, values, 0).astype(np.int64)), mixed(bits << np.uint64(32)))


def _text_hashes(text: pl.Series) -> Hashes:
    """A polynomial over the UTF-8 bytes of each text."""
    encoded = "".join(text.to_list()).encode()
    data = np.frombuffer(encoded, dtype=np.uint8).astype(np.uint64) + np.uint64(1)
    lengths = text.str.len_bytes().to_numpy().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    place = np.arange(len(data)) - np.repeat(starts, lengths)
    powers = np.cumprod(np.full(int(lengths.max(initial=0)) + 1, BASE, dtype=np.uint64))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(data * powers[place], dtype=np.uint64)])
    return mixed((sums[starts + lengths] - sums[starts]) ^ TEXT ^ lengths.astype(np.uint64))
