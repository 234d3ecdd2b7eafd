"""How much less rows in clusters say than independent rows, such as the rows of one customer."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from varjepa.evaluation.arrays import Bools, Floats, Ints

CUTS = 8
"""Cells that values are divided into to see how alike those of a cluster are."""


class Clustering(NamedTuple):
    """Clusters of rows.

    Attributes:
        numbers: cluster of each row [N], from 0.
        rows: rows of each cluster [K].
    """

    numbers: Ints
    rows: Ints

    @classmethod
    def of(cls, clusters: NDArray[np.uint64] | None) -> "Clustering | None":
        """From any numbers of clusters [N]; None where rows come in none."""
        if clusters is None:
            return None
        _, numbers, rows = np.unique(clusters, return_inverse=True, return_counts=True)
        return cls(numbers.astype(np.int64), rows)

    @property
    def pairs(self) -> int:
        """Pairs of rows of one cluster."""
        return int((self.rows * (self.rows - 1)).sum()) // 2

    @property
    def unknown(self) -> float:
        """What few pairs leave unknown of a correlation: two standard errors, at most 1."""
        return min(1.0, 2 / max(self.pairs, 1) ** 0.5)

    @property
    def size(self) -> float:
        """Rows in the cluster of a row, on average over rows: at least 1."""
        return rows_of_a_row(self.rows)


def rows_of_a_row(rows: Ints) -> float:
    """Rows in the cluster of a row, on average over rows, from the rows of each cluster [K].

    Examples:
        >>> rows_of_a_row(np.array([1, 3]))
        2.5
    """
    return float((rows.astype(np.float64) ** 2).sum() / max(rows.sum(), 1))


def alike(values: Floats | Ints, clusters: Clustering | None) -> float:
    """Intraclass correlation of values [N] in [0, 1], NaN where missing: small if rows of a cluster are independent.

    An upper limit: 1 where a sample holds a single row of each cluster, so that nothing is known of others. It is two
    standard errors above the largest of those of a few events: a value is missing, or is at most each of a few
    quantiles. It bounds the variance of shares of rows: that of n rows is at most that of n / (1 + alike (m - 1))
    independent ones, with m the rows in the cluster of a row (Kish 1965).
    """
    if clusters is None:
        return 0.0
    missing = np.isnan(values)
    present = values[~missing]
    events = [missing]
    if len(present):
        events += [values <= cut for cut in np.unique(np.quantile(present, np.arange(1, CUTS) / CUTS, method="lower"))]
    return _limit(events, clusters)


def alike_words(codes: Ints, clusters: Clustering | None) -> float:
    """The same for categories, by their numbers [N]: the events are the most frequent ones, each, and all others."""
    if clusters is None:
        return 0.0
    frequent = np.argsort(-np.bincount(codes), kind="stable")[: CUTS - 1]
    return _limit([*(codes == code for code in frequent), ~np.isin(codes, frequent)], clusters)


def _limit(events: Sequence[Bools], clusters: Clustering) -> float:
    if clusters.unknown == 1:
        return 1.0
    return min(1.0, max(_correlation(event, clusters) for event in events) + clusters.unknown)


def _correlation(event: Bools, clusters: Clustering) -> float:
    """Correlation of an event [N] between two rows of a cluster, every pair of rows counting alike."""
    rows, hits = clusters.rows, np.bincount(clusters.numbers, event, len(clusters.rows))  # [K] each
    pairs = float((rows * (rows - 1)).sum())
    both, share = float((hits * (hits - 1)).sum()) / pairs, float((hits * (rows - 1)).sum()) / pairs
    variance = share * (1 - share)
    return min(1.0, max(0.0, (both - share**2) / variance)) if variance > 0 else 0.0
