"""Whether one feature set is better than another: a paired bootstrap over the test rows."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Outcome = Literal["win", "tie", "loss"]

CHUNK = 100
"""Resamples drawn at a time."""


class PairedDifference(NamedTuple):
    """The mean difference of two feature sets, and where it may lie.

    Attributes:
        difference: mean of first minus second, over seeds and rows.
        low: lower end of the interval.
        high: upper end of the interval.
        outcome: of the first set: win or loss where the interval excludes 0, otherwise tie.
    """

    difference: float
    low: float
    high: float
    outcome: Outcome


def paired_bootstrap(
    first: Floats, second: Floats, *, higher_is_better: bool, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> PairedDifference:
    """Percentile interval of the mean difference, rows resampled in pairs.

    The seeds of a row are averaged first: the interval says how the difference would vary with other test rows, for
    these trained predictors, and not how it would vary with other seeds.

    Args:
        first: correctness or losses [R, N] of one feature set.
        second: the same of the other, on the same rows; R may differ.
        higher_is_better: True for correctness, False for losses.
        level: of the interval, in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the resamples.

    Raises:
        ValueError: if the sets differ in their rows, or there are none.

    Examples:
        >>> right, wrong = np.ones((2, 50)), np.zeros((2, 50))
        >>> paired_bootstrap(right, wrong, higher_is_better=True).outcome
        'win'
    """
    if first.shape[1] != second.shape[1] or not first.size or not second.size:
        raise ValueError(f"a pair needs the same rows and at least one; found {first.shape} and {second.shape}")
    differences = np.asarray(first, dtype=np.float64).mean(0) - np.asarray(second, dtype=np.float64).mean(0)
    means = _resampled_means(differences, resamples, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return PairedDifference(
        float(differences.mean()), float(low), float(high), _outcome(low, high, higher_is_better=higher_is_better)
    )


def _resampled_means(values: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Means of rows drawn with replacement, [resamples]."""
    # Most rows of a classifier share one of a few differences: only how often each is drawn matters.
    distinct, counts = np.unique(values, return_counts=True)
    shares = counts / len(values)
    sizes = [min(CHUNK, resamples - start) for start in range(0, resamples, CHUNK)]
    return np.concatenate([rng.multinomial(len(values), shares, size=size) @ distinct for size in sizes]) / len(values)


def _outcome(low: float, high: float, *, higher_is_better: bool) -> Outcome:
    if low <= 0 <= high:
        return "tie"
    return "win" if (low > 0) == higher_is_better else "loss"
