"""Whether one feature set is better than another: a paired bootstrap over the test rows."""

from typing import Literal, NamedTuple

import numpy as np

from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.bootstrap import Interval, bootstrap_counts, percentile_interval

Outcome = Literal["win", "tie", "loss"]


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
    differences = np.asarray(first, dtype=np.float64).mean(0) - np.asarray(second, dtype=np.float64).mean(0)  # [N]
    # Most rows of a classifier share one of a few differences: only how often each of them is drawn matters.
    distinct, counts = np.unique(differences, return_counts=True)  # [K], [K]
    means = bootstrap_counts(
        counts, lambda drawn: drawn @ distinct / len(differences), resamples=resamples, seed=seed
    )  # fmt: skip
    interval = percentile_interval(means, level)
    outcome = _outcome(interval, higher_is_better=higher_is_better)
    return PairedDifference(float(differences.mean()), *interval, outcome)


def _outcome(interval: Interval, *, higher_is_better: bool) -> Outcome:
    if interval.low <= 0 <= interval.high:
        return "tie"
    return "win" if (interval.low > 0) == higher_is_better else "loss"
