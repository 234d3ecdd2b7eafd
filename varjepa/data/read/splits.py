"""Deterministic splits of rows into training, validation, calibration and test parts."""

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import polars as pl

from varjepa.config import SplitSection
from varjepa.data.cells import column
from varjepa.data.read.order_statistics import order_statistics
from varjepa.data.read.row_hash import Hashes, hashes_in_pieces, shares
from varjepa.data.read.sources import ROW
from varjepa.errors import DataError, listed

PART = "__part__"
"""Column that holds the part of each row."""

CLUSTER = "__cluster__"
"""Column that holds the cluster of each row, uint64: the hash that decided its part (by: hash). Rows of one cluster
always share a part: copies of a row, or all rows of a customer. They are not independent of each other."""

PARTS = ("train", "validation", "calibration", "test")
NEEDED = ("train", "validation", "test")
"""Parts that must not be empty."""

FEWEST_ROWS = 10


def assign_parts(frame: pl.LazyFrame, split: SplitSection, needed: Collection[str] = NEEDED) -> pl.Series:
    """Assigns every row of `frame` to a part.

    Args:
        frame: all rows, in a fixed order.
        split: by seed, by content (see `varjepa.data.read.row_hash`), by a column that holds the words in `PARTS`, or
            by time (oldest rows train, newest test; rows with the same time are in one part).
        needed: parts that must not be empty.

    Returns:
        Series `PART` of type Enum, one entry per row.

    Raises:
        DataError: too few rows, an invalid split or time column, or an empty part.
    """
    rows = int(frame.select(pl.len()).collect().item())
    _require_rows(rows)
    if split.by == "column":
        parts = _by_column(frame, str(split.column))
    elif split.by == "hash":
        codes = [part_codes(piece, split) for piece in split_hashes(frame, split)]
        parts = _named(np.concatenate(codes))
    else:
        parts = _named(_at_random(rows, split) if split.by == "random" else _by_time(frame, rows, split))
    require_parts(dict(parts.value_counts().iter_rows()), split, needed)
    return parts


def require_parts(counts: Mapping[str, int], split: SplitSection, needed: Collection[str] = NEEDED) -> None:
    """Checks the number of rows per part, of which some must not be empty.

    Raises:
        DataError: too few rows, or an empty part.
    """
    _require_rows(sum(counts.values()))
    empty = [part for part in needed if not counts.get(part)]
    if empty:
        random = " For small tables and tables with few distinct rows use data.split.by: random."
        # Hashing gives random part sizes, and equal rows share a part: a small part may stay empty.
        fix = "Check data.split." + (random if split.by == "hash" else "")
        raise DataError(f"The split leaves no rows for {listed(empty)}.", fix=fix)


def _require_rows(rows: int) -> None:
    if rows < FEWEST_ROWS:
        raise DataError(
            f"The table has {rows} row{'s' * (rows != 1)} to learn from.",
            expected=f"Expected at least {FEWEST_ROWS}, so that training, validation and test each get some.",
        )


def _firsts(rows: int, split: SplitSection) -> tuple[int, int, int]:
    """Ranks at which validation, calibration and test start. Validation and test get at least one row each."""
    n_train = min(round(rows * split.train), rows - 2)
    n_seen = min(n_train + max(1, round(rows * split.validation)), rows - 1)
    return n_train, n_seen, min(n_seen + round(rows * split.calibration), rows - 1)


def split_hashes(frame: pl.LazyFrame, split: SplitSection) -> Iterator[Hashes]:
    """The hashes that decide the parts of rows (by: hash), piece by piece; they do not depend on the place of a row.

    A row without a value in `split.column` has no customer to stay with: its own cells are hashed. Columns that `frame`
    lacks count as missing cells, which do not contribute.

    Args:
        frame: the rows. Without `split.columns`, all of its columns are hashed.
        split: by hash.
    """
    existing = frame.collect_schema().names()
    key = split.column if split.column in existing else None
    if split.columns == "all":
        return hashes_in_pieces(frame, None if key is None else [key], split.seed)
    columns = None if split.columns is None else [name for name in split.columns if name in existing]
    return hashes_in_pieces(frame, columns, split.seed, key=key)


def parts_by_content(frame: pl.DataFrame, split: SplitSection) -> pl.Series | None:
    """The parts of any raw rows, as far as they follow from the cells of each row.

    Args:
        frame: any rows, with the columns of the table.
        split: as recorded with a model, whose training rows are thereby recognised.

    Returns:
        Series `PART`, one entry per row; None for splits at random or by time.

    Raises:
        DataError: the split column holds other words than `PARTS`.
    """
    if split.by == "hash":
        codes = [part_codes(piece, split) for piece in split_hashes(frame.lazy(), split)]
        return _named(np.concatenate([np.zeros(0, dtype=np.uint8), *codes]))
    if split.by == "column" and split.column in frame.columns:
        return _by_column(frame.lazy(), split.column)
    return None


def part_codes(hashes: Hashes, split: SplitSection) -> np.ndarray:
    """Positions in `PARTS` of rows with these hashes, uint8 [n]."""
    # The hash of a row, as a number in [0, 1), falls between two of the cumulative shares.
    ends = np.cumsum([split.train, split.validation, split.calibration])
    return np.searchsorted(ends, shares(hashes), side="right").astype(np.uint8)


def hashed_marks(hashes: Hashes, split: SplitSection) -> pl.DataFrame:
    """Columns `PART` and `CLUSTER` of rows with these hashes."""
    return pl.DataFrame([_named(part_codes(hashes, split)), pl.Series(CLUSTER, hashes)])


def learned_from(marked: pl.LazyFrame, seen: str) -> pl.LazyFrame:
    """The raw rows that preprocessing and pretraining may use.

    Args:
        marked: rows with `PART`; other internal columns are left out.
        seen: `data.split.seen`.
    """
    rows = marked if seen == "all" else marked.filter(pl.col(PART) == "train")
    return rows.drop(ROW, PART, CLUSTER, strict=False)


def _named(codes: np.ndarray) -> pl.Series:
    return pl.Series(PART, codes).cat.to(pl.Enum(PARTS))


def _at_random(rows: int, split: SplitSection) -> np.ndarray:
    # The same as `permutation(rows)`, with half the memory: 4 bytes a row.
    ranks: np.ndarray = np.arange(rows, dtype=np.uint32 if rows < 2**32 else np.int64)
    np.random.default_rng(split.seed).shuffle(ranks)
    codes = np.zeros(rows, dtype=np.uint8)
    for first in _firsts(rows, split):
        codes += ranks >= first
    return codes


def _by_time(frame: pl.LazyFrame, rows: int, split: SplitSection) -> np.ndarray:
    name, firsts = str(split.column), _firsts(rows, split)
    times, dtype = frame.select(column(name)), frame.collect_schema()[name]
    missing = times.select(pl.nth(0).null_count()).collect(engine="streaming").item()
    if missing or not (dtype.is_temporal() or dtype.is_numeric()):
        raise DataError(
            f'The time column "{name}" holds {missing} missing values and is of type {dtype}.',
            expected="Expected dates or numbers in every row.",
        )
    # A part starts after the newest row of the part before it. Rows with the same time are on one side of that limit,
    # so they are in one part.
    newest = order_statistics(times, [max(0, first - 1) for first in firsts], rows)
    later = (pl.nth(0) > moment if first else pl.lit(value=True) for first, moment in zip(firsts, newest, strict=True))
    codes = times.select(pl.sum_horizontal(part.cast(pl.UInt8) for part in later)).collect(engine="streaming")
    return codes.to_series().cast(pl.UInt8).to_numpy()


def _by_column(frame: pl.LazyFrame, name: str) -> pl.Series:
    words = frame.select(column(name).cast(pl.String).alias(PART))
    parts = words.select(pl.col(PART).cast(pl.Enum(PARTS), strict=False)).collect().to_series()
    if parts.null_count():
        is_other = pl.col(PART).is_in(PARTS).not_() | pl.col(PART).is_null()
        other = words.filter(is_other).unique().collect().to_series()
        words_found = listed(str(word) for word in other.to_list())
        raise DataError(f'The split column "{name}" holds {words_found}.', expected=f"Expected only {listed(PARTS)}.")
    return parts
