"""The bootstrap over rows: statistics of many resamples, and the interval that they span.

Resamples are drawn from one stream of the seed in portions that fit into memory. The size of a portion does not change
the draws.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from varjepa.evaluation.arrays import Floats, Ints

DRAWN_AT_ONCE = 2_000_000
"""Numbers drawn at a time, 16 MB."""


class Interval(NamedTuple):
    """Where a figure may lie.

    Attributes:
        low: lower end.
        high: upper end.
    """

    low: float
    high: float


def cluster_numbers(clusters: NDArray[np.uint64] | Ints | None) -> Ints | None:
    """Clusters of rows [N], such as hashes of customers, as numbers from 0; None where every row is its own cluster.

    Examples:
        >>> cluster_numbers(np.array([7, 3, 7])).tolist(), cluster_numbers(np.array([7, 3]))
        ([1, 0, 1], None)
    """
    if clusters is None:
        return None
    distinct, numbers = np.unique(clusters, return_inverse=True)
    return None if len(distinct) == len(clusters) else numbers.astype(np.int64)


def bootstrap_rows(
    rows: int,
    statistic: Callable[[Ints], Floats],
    *,
    resamples: int,
    seed: int,
    clusters: Ints | None = None,
) -> Floats:
    """Statistics of resamples of rows, or of whole clusters of rows.

    Args:
        rows: N, how many rows there are, at least 1.
        statistic: takes how often S resamples hold each row [S, N] and returns one or more values each, [S, ...].
        resamples: R, number of resamples.
        seed: of the resamples; statistics that share it see the same rows.
        clusters: number of each row's cluster [N], from 0: its rows are drawn together. None draws rows.

    Returns:
        [R, ...].

    Examples:
        >>> values = np.array([1.0, 2.0, 3.0])
        >>> bootstrap_rows(3, lambda counts: counts @ values / 3, resamples=5, seed=0).shape
        (5,)
    """
    rng, units = np.random.default_rng(seed), rows if clusters is None else int(clusters.max()) + 1

    def counts(size: int) -> Ints:  # [S, N]
        picks = rng.integers(units, size=(size, units))  # [S, units]
        drawn = np.stack([np.bincount(row, minlength=units) for row in picks])
        return drawn if clusters is None else drawn[:, clusters]

    return np.concatenate([statistic(counts(size)) for size in _portions(resamples, rows)])


def bootstrap_counts(counts: Ints, statistic: Callable[[Ints], Floats], *, resamples: int, seed: int) -> Floats:
    """Statistics of resamples of rows of a few kinds, all rows of a kind being alike.

    Only how often each kind is drawn matters, and that is multinomial: K draws stand for N.

    Args:
        counts: rows of each kind [K], with N in all, at least 1.
        statistic: takes the rows per kind of S resamples [S, K] and returns one or more values each, [S, ...].
        resamples: R, number of resamples.
        seed: of the resamples.

    Returns:
        [R, ...].
    """
    rng, rows = np.random.default_rng(seed), int(counts.sum())
    shares = counts / rows
    portions = _portions(resamples, len(counts))
    return np.concatenate([statistic(rng.multinomial(rows, shares, size=size)) for size in portions])


def percentile_interval(values: Floats, level: float) -> Interval:
    """The middle `level` of the statistics of all resamples.

    Args:
        values: one statistic per resample [R].
        level: share of the resamples inside, in (0, 1).

    Examples:
        >>> percentile_interval(np.arange(101.0), 0.5)
        Interval(low=25.0, high=75.0)
    """
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def can_show(rows: int, clusters: Ints | None, level: float) -> bool:
    """Whether so many rows, or clusters of rows, can show anything at a level.

    All of them may point one way by chance, and then so do all of their resamples: of a few the bootstrap says nothing.

    Args:
        rows: N, how many there are.
        clusters: number of each row's cluster [N]; None where every row is independent.
        level: of a two-sided interval, in (0, 1).

    Examples:
        >>> can_show(100, None, 0.95), can_show(100, np.zeros(100, dtype=int), 0.95), can_show(5, None, 0.95)
        (True, False, False)
    """
    return 0.5 ** (rows if clusters is None else len(np.unique(clusters))) <= (1 - level) / 2


def difference_interval(values: Floats, level: float, rows: int, clusters: Ints | None) -> Interval:
    """The percentile interval of a difference; of too few rows or clusters to show one it holds 0 as well.

    Args:
        values: one difference per resample [R].
        level: share of the resamples inside, in (0, 1).
        rows: see `can_show`.
        clusters: see `can_show`.
    """
    low, high = percentile_interval(values, level)
    return Interval(low, high) if can_show(rows, clusters, level) else Interval(min(low, 0.0), max(high, 0.0))


def _portions(resamples: int, width: int) -> Iterator[int]:
    """Sizes of portions whose draws, `width` numbers per resample, fit into memory."""
    # At least one resample, however many rows it has.
    most = max(1, DRAWN_AT_ONCE // max(width, 1))
    yield from (min(most, resamples - start) for start in range(0, resamples, most))
