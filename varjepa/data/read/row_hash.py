"""Hashes of rows by their content: equal content has equal hashes, in any file format and storage type.

- A cell is a number, a text, or missing. A whole number has the same hash stored as 1, 1.0, true or "1". Fractions are
  compared as 32-bit floats. Dates are numbers. Keys with more digits than a float holds differ if any digit does.
- Missing cells (null, NaN, empty text) do not contribute. So a new column without values changes no hash.
- The names of columns contribute, their order does not.
- The arithmetic uses 64-bit integers in NumPy. Polars has hashes, too, but they may change between its versions.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varjepa.data.cells import by_name, column, nameless

Hashes = NDArray[np.uint64]

CHUNK = 100_000
"""Rows hashed at a time."""

WHOLE = 2.0**53
"""Larger floats cannot represent every whole number."""

NUMBER, TEXT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
"""Constants that give a number and a text with the same bits different hashes."""

BASE = np.uint64(0x100000001B3)


def row_hashes(frame: pl.LazyFrame) -> Hashes:
    """The hash of every row over all of its columns, in the order of the rows, uint64 [N]."""
    return np.concatenate([np.zeros(0, dtype=np.uint64), *hashes_in_pieces(frame)])


def hashes_in_pieces(
    frame: pl.LazyFrame, columns: Sequence[str] | None = None, seed: int = 0, *, key: str | None = None
) -> Iterator[Hashes]:
    """Hashes of rows, in the order of the rows, `CHUNK` rows at a time; only their cells are in memory.

    Args:
        frame: the rows. Columns named like `__this__` are internal and do not contribute.
        columns: the columns that contribute; None means all.
        seed: changes all hashes.
        key: a column that alone contributes wherever it is not missing, such as a customer number.

    Yields:
        uint64 [n] for the next n rows; nothing if there are no rows.
    """
    existing = frame.collect_schema().names()
    names = [name for name in existing if not name.startswith("__")] if columns is None else list(columns)
    start = mixed(np.array([seed], dtype=np.uint64))[0]
    read = list(dict.fromkeys([*names, *([] if key is None else [key])]))
    rows = frame.select(by_name(read)).with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    for batch in rows.collect_batches(chunk_size=CHUNK, maintain_order=True):
        known = np.zeros(batch.height, dtype=bool) if key is None else _present(nameless(batch[key]))  # [n]
        # Where every row has the key, the other columns contribute nothing and need not be hashed.
        total = np.zeros(batch.height, dtype=np.uint64) if known.all() else _content(batch.select(by_name(names)))
        yield mixed((total if key is None else np.where(known, _content(batch.select(column(key))), total)) ^ start)


def _content(batch: pl.DataFrame) -> Hashes:
    """Sums over the columns of rows, uint64 [n]; 0 where all cells are missing."""
    # A sum does not depend on the order of the columns. It wraps around at 2**64, which is intended.
    total = np.zeros(batch.height, dtype=np.uint64)
    for name, column_cells in zip(batch.columns, map(nameless, batch), strict=True):
        total += mixed(cell_hashes(column_cells) ^ _text_hashes(pl.Series([name]))[0], cells=column_cells)
    return total


def shares(hashes: Hashes) -> NDArray[np.float64]:
    """Hashes as numbers that are uniform in [0, 1)."""
    # The upper 53 bits fill the mantissa of a float64 exactly.
    return (hashes >> np.uint64(11)) / 2.0**53


def mixed(values: Hashes, cells: pl.Series | None = None) -> Hashes:
    """Spreads every bit of a value over all bits (the finaliser of SplitMix64).

    Args:
        values: uint64 [N].
        cells: [N]; where one is missing, the result is 0. None means that none is missing.
    """
    x = values + NUMBER
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return x if cells is None else np.where(_present(cells), x, np.uint64(0))


def cell_hashes(cells: pl.Series) -> Hashes:
    """The hash of every cell of a column, uint64 [N]; arbitrary where the cell is missing."""
    cells = cells.cast(pl.String) if cells.dtype in (pl.Int128, pl.UInt128) else cells
    dtype = cells.dtype
    if dtype.is_integer() or dtype == pl.Boolean:
        whole = cells if dtype == pl.UInt64 else cells.cast(pl.Int64)
        return _whole_hashes(whole.fill_null(0).to_numpy())
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
    # Hashing text costs ten times as much as hashing a number, and texts mostly repeat. So each distinct text is hashed
    # once, and `places` [N] says which of them a cell is.
    if len(words) < len(text) / 2:
        text, places = words, text.cast(pl.Enum(words)).to_physical().to_numpy()
    else:
        places = np.arange(len(text))
    # Text that reads as a number has the hash of the number, so that "1" and 1 are equal.
    numbers = text.cast(pl.Float64, strict=False)
    as_numbers = _number_hashes(numbers.fill_null(0.0).to_numpy())
    hashes = np.where(numbers.is_not_null().to_numpy(), as_numbers, _text_hashes(text))
    return _with_keys(hashes, text, numbers)[places]


def _with_keys(hashes: Hashes, text: pl.Series, numbers: pl.Series) -> Hashes:
    """The hashes of texts, those of keys that a float cannot tell apart replaced: of 17 digits and more, and 12e4567.

    Args:
        hashes: as of numbers, where the texts read as some; changed in place.
        text: the texts.
        numbers: the same as numbers, null where they are none.
    """
    whole, infinite = (numbers.abs() >= WHOLE) & text.str.contains(r"^-?\d+$"), numbers.is_infinite()
    rest = (whole | (infinite & text.str.contains(r"\d"))).fill_null(value=False).arg_true()
    if not len(rest):
        return hashes
    keys, places = text.gather(rest), rest.to_numpy()
    hashes[places] = _text_hashes(keys)
    for dtype in (pl.UInt64, pl.Int64):
        exact = keys.cast(dtype, strict=False)
        hashes[places[exact.is_not_null().to_numpy()]] = _whole_hashes(exact.drop_nulls().to_numpy())
    return hashes


def _present(cells: pl.Series) -> NDArray[np.bool_]:
    """Which cells are not missing, bool [N]."""
    present = cells.is_not_null()
    if cells.dtype.is_float():
        present &= cells.is_not_nan().fill_null(value=False)
    elif cells.dtype == pl.String:
        present &= (cells != "").fill_null(value=False)
    return present.to_numpy()


def _whole_hashes(values: NDArray[np.int64] | NDArray[np.uint64]) -> Hashes:
    return mixed(values.astype(np.int64).view(np.uint64) ^ NUMBER)


def _number_hashes(values: NDArray[np.float64]) -> Hashes:
    """Whole numbers by their value, fractions by the bits of the nearest 32-bit float."""
    whole = (values == np.rint(values)) & (np.abs(values) < WHOLE)
    with np.errstate(over="ignore"):
        bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    return np.where(whole, _whole_hashes(np.where(whole, values, 0).astype(np.int64)), mixed(bits << np.uint64(32)))


def _text_hashes(text: pl.Series) -> Hashes:
    """Polynomial hashes of texts: sum of (byte + 1) * BASE**position over the UTF-8 bytes of each, modulo 2**64.

    All texts are hashed at once, without a loop over texts: their bytes are joined into one array of T bytes, and the
    sum of a text is the difference of two cumulative sums.
    """
    encoded = "".join(text.to_list()).encode()
    # Adding 1 makes a zero byte count. [T]
    data = np.frombuffer(encoded, dtype=np.uint8).astype(np.uint64) + np.uint64(1)
    lengths = text.str.len_bytes().to_numpy().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    place = np.arange(len(data)) - np.repeat(starts, lengths)  # position of each byte within its text, [T]
    powers = np.cumprod(np.full(int(lengths.max(initial=0)) + 1, BASE, dtype=np.uint64))
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(data * powers[place], dtype=np.uint64)])
    # The length tells texts apart that a sum alone might not.
    return mixed((sums[starts + lengths] - sums[starts]) ^ TEXT ^ lengths.astype(np.uint64))
