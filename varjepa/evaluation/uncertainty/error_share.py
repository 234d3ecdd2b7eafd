"""A test of the share of errors on rows that come in clusters, such as the rows of one customer.

Rows of a cluster may depend on each other in any way. Clusters are independent draws.
"""

import math
from typing import NamedTuple

import numpy as np

from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.distributions import binomial_up_to

NEGLIGIBLE = 1e-7
"""Error of a p-value that does not matter."""

BEYOND = 20.0
"""Distance from the mean, in units of the largest deviation, that a sum of gamma variables exceeds with less than that
chance: exp(-20) where all is one variable."""

MOST_POINTS = 20_000
"""Of an integral at evenly spaced points. Sums of very few variables take more, and an integral by quadrature."""


class ClusterErrors(NamedTuple):
    """Errors by cluster; clusters without rows are left out.

    Attributes:
        errors: wrong rows of each cluster [K].
        rows: rows of each cluster [K], at least 1.
    """

    errors: Ints
    rows: Ints

    @classmethod
    def of(cls, error: Bools, clusters: Ints | None) -> "ClusterErrors":
        """Counts rows.

        Args:
            error: whether each row is wrong [N].
            clusters: number of each row's cluster [N], from 0; None where every row is one.
        """
        if clusters is None:
            return cls(error.astype(np.int64), np.ones(len(error), dtype=np.int64))
        rows = np.bincount(clusters)
        wrong = np.bincount(clusters, error, len(rows)).astype(np.int64)
        return cls(wrong[rows > 0], rows[rows > 0])


def p_too_many_errors(counts: ClusterErrors, most: float, largest: int) -> float:
    """P-value of the hypothesis that more than a share `most` of all rows are wrong.

    Where every row is a cluster, the exact binomial tail. Otherwise the test of Gaffke (2005): the chance that the
    clusters, with random weights and one more cluster of the worst kind, hold a share of errors above `most`. It gains
    from clusters whose rows differ, and is the binomial tail where they do not. That it errs too rarely is not proved
    beyond that case; no violation is known (Learned-Miller and Thomas 2020), nor did our trials find one
    (`tests/statistical/test_certificate.py`).

    Args:
        counts: of the rows.
        most: in (0, 1).
        largest: rows of the largest cluster that there is.

    Examples:
        >>> one_row_each = ClusterErrors(np.zeros(45, dtype=int), np.ones(45, dtype=int))
        >>> round(p_too_many_errors(one_row_each, 0.05, 1), 3)
        0.099
        >>> ten_rows_each = ClusterErrors(np.zeros(45, dtype=int), np.full(45, 10))
        >>> round(p_too_many_errors(ten_rows_each, 0.05, 10), 3)
        0.099
    """
    if largest == 1:
        return binomial_up_to(counts.errors.sum(), len(counts.errors), most)
    # A cluster's errors beyond what is allowed to its rows; clusters that are alike are taken together.
    excess = np.append(counts.errors - most * counts.rows, (1 - most) * largest)
    values, number = np.unique(excess[excess != 0], return_counts=True)  # [V]
    return _chance_above_zero(values / np.sqrt(number @ values**2), number)


def _chance_above_zero(values: np.ndarray, number: Ints) -> float:
    """Chance that the sum of `values` [V], each times a gamma variable of shape `number` [V], is above 0.

    By inversion of the characteristic function (Gil-Pelaez 1951), whose logarithm is
    -sum(number * log(1 - i u values)). The sum has a deviation of 1. Midpoints of steps of pi / x give the integral but
    for the chance that the sum is beyond 2 x (Davies 1973).
    """

    def size(u: Floats) -> Floats:
        return np.exp(-0.5 * np.log1p((u[:, None] * values) ** 2) @ number)

    def integrand(u: Floats) -> Floats:
        return np.sin(np.arctan(u[:, None] * values) @ number) * size(u) / u

    end = 1.0
    while size(np.array([end]))[0] > NEGLIGIBLE:
        end *= 1.5
    step = np.pi / (abs(float(number @ values)) + BEYOND)
    count = math.ceil(end / step)
    if count <= MOST_POINTS:
        area = step * float(integrand(step * (np.arange(count, dtype=np.float64) + 0.5)).sum())
    else:
        from scipy.integrate import quad

        area = quad(lambda u: float(integrand(np.array([u]))[0]), 0, end, epsabs=NEGLIGIBLE, limit=200)[0]
    return float(np.clip(0.5 + area / np.pi, 0, 1))
