"""Whether one feature set is better than another on the same test rows: an interval and a p-value."""

import math
from typing import NamedTuple

import numpy as np

from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.bootstrap import bootstrap_counts, difference_interval
from varjepa.evaluation.distributions import student_above
from varjepa.evaluation.sign_flips import p_signs


class PairedDifference(NamedTuple):
    """The mean difference of two feature sets, where it may lie, and whether it may be chance.

    Attributes:
        difference: mean of first minus second, over seeds and rows.
        low: lower end of the interval.
        high: upper end of the interval.
        p: two-sided p-value of no difference.
    """

    difference: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    first: Floats, second: Floats, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> PairedDifference:
    """Percentile interval of the mean difference, rows resampled in pairs, and a p-value of no difference.

    The seeds of a row are averaged first: both say how the difference would vary with other test rows, for these
    trained predictors, and not how it would vary with other seeds. Rows are taken to be independent.

    The p-value is not a share of resamples: many comparisons ask for a far tail, where the bootstrap's is too light if
    the sets differ on few rows, whatever the number of resamples.

    Args:
        first: correctness or losses [R, N] of one feature set.
        second: the same of the other, on the same rows; R may differ.
        level: of the interval, in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the resamples.

    Raises:
        ValueError: if the sets differ in their rows, or there are none.

    Examples:
        >>> right, wrong = np.ones((2, 50)), np.zeros((2, 50))
        >>> paired_bootstrap(right, wrong).low
        1.0
    """
    if first.shape[1] != second.shape[1] or not first.size or not second.size:
        raise ValueError(f"a pair needs the same rows and at least one; found {first.shape} and {second.shape}")
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    differences = first.mean(0) - second.mean(0)  # [N]
    # Most rows of a classifier share one of a few differences: only how often each of them is drawn matters.
    distinct, counts = np.unique(differences, return_counts=True)  # [K], [K]
    means = bootstrap_counts(
        counts, lambda drawn: drawn @ distinct / len(differences), resamples=resamples, seed=seed
    )  # fmt: skip
    interval = difference_interval(means, level, len(differences), None)
    return PairedDifference(float(differences.mean()), *interval, p_equal(first, second))


def p_equal(first: Floats, second: Floats) -> float:
    """Two-sided p-value of two feature sets being equally good.

    For right and wrong answers the exact sign-flip test (McNemar's, with one seed): it holds for any number of rows if
    the sets are interchangeable on each row. For other values Student's t, to which sign flips come close on many rows.

    Args:
        first: float64 [R, N], per seed and row.
        second: float64 [R, N], on the same rows; R may differ.

    Examples:
        >>> p_equal(np.ones((2, 4)), np.zeros((1, 4)))
        0.125
    """
    if np.isin(first, (0.0, 1.0)).all() and np.isin(second, (0.0, 1.0)).all():
        seeds = math.lcm(len(first), len(second))
        # Differences of mean correctness, as whole numbers.
        whole = first.sum(0) * (seeds // len(first)) - second.sum(0) * (seeds // len(second))  # [N]
        return min(1.0, 2 * min(p_signs(whole), p_signs(-whole)))
    differences = first.mean(0) - second.mean(0)
    spread = differences.std(ddof=1) if len(differences) > 1 else 0.0
    if not spread:  # there is no statistic without a spread
        return 1.0
    statistic = abs(differences.mean()) / spread * math.sqrt(len(differences))
    return 2 * student_above(statistic, len(differences) - 1)
