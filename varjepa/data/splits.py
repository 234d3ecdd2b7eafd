"""Deterministic division of rows into training, validation, calibration and test parts."""

import numpy as np
import polars as pl

from varjepa.config import SplitSection
from varjepa.data.row_hash import row_hashes, shares
from varjepa.errors import DataError, listed

PART = "__part__"
"""Column that holds the part of each row."""

PARTS = ("train", "validation", "calibration", "test")
NEEDED = ("train", "validation", "test")
"""Parts that may not be empty."""

FEWEST_ROWS = 10


def assign_parts(frame: pl.LazyFrame, split: SplitSection) -> pl.Series:
    """Assigns every row of `frame` to a part.

    Args:
        frame: all rows, in a fixed order.
        split: by seed, by content (see `varjepa.data.row_hash`), by a column that holds the words in `PARTS`, or by
            time (oldest rows train, newest test; rows of one moment stay together).

    Returns:
        Series `PART` of type Enum, one entry per row.

    Raises:
        DataError: too few rows, a column that does not say the part, or a part that stays empty.
    """
    rows = int(frame.select(pl.len()).collect().item())
    if rows < FEWEST_ROWS:
        raise DataError(
            f"The table has {rows} row{'s' * (rows != 1)} to learn from.",
            expected=f"Expected at least {FEWEST_ROWS}, so that training, validation and test each get some.",
        )
    if split.by == "column":
        parts = _by_column(frame, str(split.column))
    elif split.by == "hash":
        parts = _by_hash(frame, split)
    else:
        ranks = np.random.default_rng(split.seed).permutation(rows) if split.by == "random" else _by_time(frame, split)
        parts = pl.Series(PART, _cut(ranks, rows, split)).cat.to(pl.Enum(PARTS))
    empty = [part for part in NEEDED if not (parts == part).any()]
    if empty:
        random = " Small tables and those of few distinct rows are better divided by: random."
        fix = "Check data.split." + (random if split.by == "hash" else "")
        raise DataError(f"The split leaves no rows for {listed(empty)}.", fix=fix)
    return parts


def _cut(ranks: np.ndarray, rows: int, split: SplitSection) -> np.ndarray:
    """Part codes from ranks: exact counts, and at least one row in each part."""
    n_train = min(round(rows * split.train), rows - 2)
    n_seen = min(n_train + max(1, round(rows * split.validation)), rows - 1)
    n_known = min(n_seen + round(rows * split.calibration), rows - 1)
    return np.searchsorted([n_train, n_seen, n_known], ranks, side="right").astype(np.uint8)


def _by_hash(frame: pl.LazyFrame, split: SplitSection) -> pl.Series:
    ends = np.cumsum([split.train, split.validation, split.calibration])
    hashes = row_hashes(frame, [split.column] if split.column else None, split.seed)
    codes = np.searchsorted(ends, shares(hashes), side="right").astype(np.uint8)
    return pl.Series(PART, codes).cat.to(pl.Enum(PARTS))


def _by_time(frame: pl.LazyFrame, split: SplitSection) -> np.ndarray:
    times = frame.select(pl.col(str(split.column))).collect().to_series()
    if times.null_count() or not (times.dtype.is_temporal() or times.dtype.is_numeric()):
        raise DataError(
            f'The time column "{split.column}" holds {times.null_count()} missing values and is of type {times.dtype}.',
            expected="Expected dates or numbers in every row.",
        )
    return (times.rank("min") - 1).to_numpy()


def _by_column(frame: pl.LazyFrame, column: str) -> pl.Series:
    words = frame.select(pl.col(column).cast(pl.String).alias(PART)).collect().to_series()
    other = words.filter(~words.is_in(PARTS) | words.is_null()).unique().to_list()
    if other:
        found = listed(str(word) for word in other)
        raise DataError(f'The split column "{column}" holds {found}.', expected=f"Expected only {listed(PARTS)}.")
    return words.cast(pl.Enum(PARTS))
