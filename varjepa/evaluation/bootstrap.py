"""The bootstrap over rows: statistics of many resamples, and the interval that they span.

Resamples are drawn from one stream of the seed in portions that fit into memory. The size of a portion does not change
the draws.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

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


def bootstrap_rows(rows: int, statistic: Callable[[Ints], Floats], *, resamples: int, seed: int) -> Floats:
    """Statistics of resamples of rows.

    Args:
        rows: N, how many rows there are, at least 1.
        statistic: takes the row numbers of S resamples [S, N] and returns one or more values each, [S, ...].
        resamples: R, number of resamples.
        seed: of the resamples; statistics that share it see the same rows.

    Returns:
        [R, ...].

    Examples:
        >>> values = np.array([1.0, 2.0, 3.0])
        >>> bootstrap_rows(3, lambda picks: values[picks].mean(1), resamples=5, seed=0).shape
        (5,)
    """
    rng = np.random.default_rng(seed)
    return np.concatenate([statistic(rng.integers(rows, size=(size, rows))) for size in _portions(resamples, rows)])


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


def _portions(resamples: int, width: int) -> Iterator[int]:
    """Sizes of portions whose draws, `width` numbers per resample, fit into memory."""
    # At least one resample, however many rows it has.
    most = max(1, DRAWN_AT_ONCE // max(width, 1))
    yield from (min(most, resamples - start) for start in range(0, resamples, most))
