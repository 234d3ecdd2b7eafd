"""Piecewise-linear maps between values and normal scores, learned and applied fast; order statistics of many rows."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from scipy.special import ndtri

MOST_CELLS = 2**17
"""Cells of the grid that spares `interpolation` its search."""

BLOCK = 2**17
"""Values looked up at a time, so that what is computed on the way stays in the cache."""

SAMPLE_ROWS = 100_000
"""About so many rows tell where order statistics are to be looked for."""

NEAR = 0.01
"""Share of all rows on either side of where the sample has an order statistic: six standard errors or more."""


def order_statistics(column: pl.LazyFrame, ranks: Sequence[int], rows: int) -> list[Any]:
    """The values that have these ranks when a column is sorted: exact, without holding more than a few percent of it.

    Evenly spaced rows tell between which values to look. Where they mislead, as they may where the column has their
    period, all of its different values are held.

    Args:
        column: a single column, without missing values.
        ranks: at least 0, below `rows`.
        rows: of the column.

    Examples:
        >>> order_statistics(pl.LazyFrame({"x": [5, 1, 4, 4, 2]}), [0, 2, 3], 5)
        [1, 4, 4]
    """
    value = pl.nth(0)
    sample = column.gather_every(max(1, rows // SAMPLE_ROWS)).collect(engine="streaming").to_series().sort()
    reach, last = int(NEAR * len(sample)) + 1, len(sample) - 1
    places = [rank * len(sample) // rows for rank in ranks]
    ends = [(sample[max(0, place - reach)], sample[min(last, place + reach)]) for place in places]
    below = column.select((value < low).sum().alias(str(n)) for n, (low, _) in enumerate(ends))
    found = []
    for rank, (low, high), before in zip(ranks, ends, below.collect(engine="streaming").row(0), strict=True):
        for near, start in ((column.filter(value.is_between(low, high)), before), (column, 0)):
            counts = near.group_by(value.alias("value")).len().collect(engine="streaming").sort("value")
            place = int(counts["len"].cum_sum().search_sorted(rank - start, side="right"))
            if rank >= start and place < counts.height:
                found.append(counts["value"][place])
                break
    return found


def normal_scores(values: np.ndarray, n_quantiles: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots of a piecewise-linear map from values to standard normal scores.

    Ties share the score of the middle of their ranks, so that a pile of equal values lies at its own centre.

    Args:
        values: sample, at least one value.
        n_quantiles: at most this many knots, spread evenly over the ranks.

    Returns:
        (knots, scores), both strictly increasing and of one length.

    Examples:
        >>> normal_scores(np.array([0.0, 0.0, 1.0, 1.0]), 8)[0]
        (0.0, 1.0)
    """
    distinct, counts = np.unique(values, return_counts=True)
    middle = (np.cumsum(counts) - 0.5 * counts) / len(values)
    if len(distinct) > n_quantiles:
        picks = np.searchsorted(middle, np.linspace(middle[0], middle[-1], n_quantiles))
        picks = np.unique(np.clip(picks, 0, len(distinct) - 1))
        distinct, middle = distinct[picks], middle[picks]
    return tuple(distinct.astype(float).tolist()), tuple(ndtri(middle).tolist())


@lru_cache(maxsize=64)
def interpolation(knots: tuple[float, ...], scores: tuple[float, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """`np.interp` between these points, to the last bit, without its search where that can be spared.

    The leading bits of a float32 make a grid that is fine where floats are. Where no cell of it holds two knots, one
    look-up and one comparison find the piece that a value is on.

    Examples:
        >>> interpolation((1.0, 2.0, 4.0), (0.0, 1.0, 2.0))(np.array([0.0, 1.5, 3.0, 9.0, np.nan]))
        array([0. , 0.5, 1.5, 2. , nan])
    """
    places, heights = np.array(knots), np.array(scores)
    bits = _coarsest(places)
    if bits is None:
        return lambda values: np.interp(values, places, heights)
    slopes = np.append(np.diff(heights) / np.diff(places), 0.0)
    cells = _grid(places, bits)
    below = np.searchsorted(cells, np.arange(cells[0], cells[-1] + 1))

    def look_up(values: np.ndarray) -> np.ndarray:
        found = np.empty(len(values))
        for start in range(0, len(values), BLOCK):
            inside = np.clip(values[start : start + BLOCK], places[0], places[-1])
            piece = below.take(_grid(inside, bits) - cells[0], mode="clip")
            piece -= inside < places.take(piece)
            inside -= places.take(piece, mode="clip")
            inside *= slopes.take(piece, mode="clip")
            np.add(inside, heights.take(piece, mode="clip"), out=found[start : start + BLOCK])
        return found

    return look_up


def _coarsest(places: np.ndarray) -> int | None:
    """Bits to leave out for the coarsest grid with a cell for every place; None where that is too large."""
    for bits in range(20, 0, -1):
        cells = _grid(places, bits)
        if int(cells[-1]) - int(cells[0]) >= MOST_CELLS:
            return None
        if (np.diff(cells) > 0).all():
            return bits
    return None


def _grid(values: np.ndarray, bits: int) -> np.ndarray:
    """Numbers of cells that rise with the values; the last `bits` bits of a float32 do not count."""
    with np.errstate(over="ignore"):
        cells = values.astype(np.float32).view(np.int32)
    return (cells ^ (cells >> 31 & 0x7FFFFFFF)) >> bits
