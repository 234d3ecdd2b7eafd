"""Neighbours as tables: similar rows, near duplicates, outliers."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varjepa.errors import ConfigError, require_whole
from varjepa.inference.vectors.index import VectorIndex

SAME = 1e-3
"""Distance up to which vectors are of equal rows: rounding, and no more."""

NEAR = 0.05
"""Distance of near duplicates; 1 is the usual distance of two rows."""

PIECE = 8192
"""Rows whose neighbours are looked for at a time."""


def similar_rows(
    index: VectorIndex, queries: NDArray[np.float32], k: int = 10, *, leave_same: bool = False, first: int = 0
) -> pl.DataFrame:
    """The nearest rows of each query.

    Args:
        index: of the table.
        queries: vectors [Q, size].
        k: how many; fewer where the table has fewer rows.
        leave_same: leave out rows that equal the query.
        first: number of the first query.

    Returns:
        `query` and `row`, row numbers from 0, `rank` from 1, and `distance`.

    Raises:
        ConfigError: `k` is no whole number from 1 on.
    """
    require_whole(k, "k", 1)
    # No more than there are: room for every neighbour is taken, also for those that are lacking.
    found = index.search(queries, min(k, len(index.vectors)), beyond=SAME if leave_same else None)
    numbers, ranks = np.indices(found.rows.shape)
    frame = pl.DataFrame({
        "query": first + numbers.ravel(), "rank": (1 + ranks.ravel()).astype(np.int32),
        "row": found.rows.ravel(), "distance": found.distances.ravel(),
    })  # fmt: skip
    return frame.filter(pl.col("row") >= 0)


def near_duplicates(index: VectorIndex, within: float = NEAR, k: int = 10) -> pl.DataFrame:
    """Pairs of rows of a table that hardly differ, the nearest first.

    Args:
        index: of the table.
        within: largest distance.
        k: neighbours of each row that are looked at: of more copies than that, some pairs are missing.

    Returns:
        `row` and `other`, row numbers from 0, the smaller one first, and `distance`.

    Raises:
        ConfigError: `within` is below 0, or no number.
    """
    if not within >= 0:
        raise ConfigError(f"within is {within!r}.", expected="Expected a distance from 0 on.")
    pairs = []
    for start in range(0, max(len(index.vectors), 1), PIECE):
        rows = np.arange(start, min(start + PIECE, len(index.vectors)))
        found = index.search(np.asarray(index.vectors[start : start + PIECE]), k, leave_out=rows)
        near = found.distances <= within
        row, other = np.broadcast_to(rows[:, None], near.shape)[near], found.rows[near]
        low, high, distance = np.minimum(row, other), np.maximum(row, other), found.distances[near]
        pairs.append(pl.DataFrame({"row": low, "other": high, "distance": distance}))
    # Each pair may be found from both ends, with distances that differ by rounding.
    whole = pl.concat(pairs).group_by("row", "other").agg(pl.col("distance").min())
    return whole.sort("distance", "row", "other")


def outliers(index: VectorIndex, top: int = 100, k: int = 10) -> pl.DataFrame:
    """The rows of a table that are farthest from their neighbours.

    Args:
        index: of the table.
        top: how many rows.
        k: the neighbour that counts; the last one where there are fewer.

    Returns:
        `row`, its number from 0, and `distance` to the k-th nearest other row, the largest first.

    Raises:
        ConfigError: `top` or `k` is no whole number from 1 on.
    """
    require_whole(top, "top", 1)
    require_whole(k, "k", 1)
    distances = [np.empty(0, np.float32)]
    k = min(k, len(index.vectors) - 1)
    for start in range(0, len(index.vectors) if k > 0 else 0, PIECE):
        rows = np.arange(start, min(start + PIECE, len(index.vectors)))
        found = index.search(np.asarray(index.vectors[start : start + PIECE]), k, leave_out=rows)
        distances.append(found.distances[:, -1])
    far = pl.DataFrame({"distance": np.concatenate(distances)}).with_row_index("row").cast({"row": pl.Int64})
    return far.sort("distance", "row", descending=[True, False]).head(top)
