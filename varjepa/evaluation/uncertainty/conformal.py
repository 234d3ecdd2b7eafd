"""Conformal thresholds: how large a score may be so that new rows stay below it as often as promised.

For independent rows it is the order statistic of split conformal prediction (Vovk et al. 2005). Rows that come in
clusters, such as those of a customer, are not exchangeable, but clusters are. Conformal risk control (Angelopoulos et
al., arXiv 2208.02814) of a cluster's misses beyond those that its rows are allowed then gives the same kind of promise.
"""

import math

import numpy as np

from varjepa.evaluation.arrays import Bools, Floats, Ints

ROUNDING = 1e-9
"""Share of a row that floating-point numbers may cost."""


def conformal_threshold(scores: Floats, level: float, largest: int = 1) -> float:
    """The smallest score that at least a share `level` of new rows does not exceed, on average over draws.

    With clusters: among the rows of a new cluster, the expected number above the threshold is at most 1 - `level` of
    the expected number of rows, if no cluster has more than `largest` rows. Which rows share a cluster does not matter,
    only how large clusters get: one more of the largest size, with nothing but misses, is reckoned with.

    Args:
        scores: of calibration rows [N], any order; inf where no threshold would do.
        level: in (0, 1).
        largest: rows of the largest cluster; 1 where rows are independent.

    Returns:
        inf where the rows are too few for the level.

    Examples:
        >>> conformal_threshold(np.arange(1.0, 10.0), 0.9)
        9.0
        >>> conformal_threshold(np.arange(1.0, 9.0), 0.9)
        inf
    """
    # K clusters and a new one: misses - (1 - level) rows must not exceed 0 in sum, whatever the new one holds.
    allowed = math.floor((1 - level) * len(scores) - level * largest + ROUNDING)
    if allowed < 0:
        return math.inf
    return float(np.partition(scores, len(scores) - 1 - allowed)[len(scores) - 1 - allowed])


def fewest_rows(level: float, largest: int = 1) -> int:
    """The number of rows from which on a threshold is finite.

    Examples:
        >>> fewest_rows(0.9)
        9
    """
    return math.ceil(level * largest / (1 - level) - ROUNDING)


def largest_cluster(*clusters: Ints | None) -> int:
    """Rows of the largest cluster of some sets of rows; None stands for independent rows."""
    return max((int(np.bincount(numbers).max(initial=1)) for numbers in clusters if numbers is not None), default=1)


def halves(rows: int, clusters: Ints | None, rng: np.random.Generator) -> Bools:
    """A random half of the rows, as a mask [N]; rows of a cluster are in the same half."""
    numbers = np.arange(rows) if clusters is None else clusters
    order = rng.permutation(int(numbers.max(initial=-1)) + 1)
    return order[numbers] % 2 == 0
