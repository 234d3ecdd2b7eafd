"""Accuracy or R2 over the number of labelled rows, and whether the embedding beats raw columns with as few labels."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import t as student

from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.benchmark.tables import FALSE_OUTCOMES, Outcome, outcome
from varjepa.evaluation.bootstrap import difference_interval
from varjepa.evaluation.holm import holm
from varjepa.evaluation.uncertainty.intervals import independent_rows
from varjepa.evaluation.uncertainty.paired_bootstrap import PairedDifference

LEVEL, SMALLEST_P = 0.95, 1e-12

RAW, EMBEDDED = ("raw trees", "raw linear"), ("embedding linear", "trees on both")
"""Methods without an embedding, and those with one."""

CellKey = tuple[str, int]
"""(data set, number of labelled rows)."""

Goodness = Mapping[str, Floats]
"""Method -> goodness per draw of labels and test row [R, N]; larger is better, and its mean is the accuracy or R2."""


class Point(NamedTuple):
    """A method with a number of labels.

    Attributes:
        dataset: name.
        labels: labelled rows that it was fitted on, those that chose its settings included.
        method: name.
        mean: accuracy or R2, over draws and test rows.
        low: lower end of its 95% interval.
        high: upper end.
    """

    dataset: str
    labels: int
    method: str
    mean: float
    low: float
    high: float


class Gap(NamedTuple):
    """A method with an embedding against one without, on the same labels and test rows.

    Attributes:
        dataset: name.
        labels: labelled rows.
        method: one of `EMBEDDED`.
        rival: one of `RAW`.
        difference: of accuracy or R2, positive where the embedding is better; interval and p-value of this pair alone.
        adjusted: p-value after Holm's correction for all pairs.
        outcome: of the embedding.
    """

    dataset: str
    labels: int
    method: str
    rival: str
    difference: PairedDifference
    adjusted: float
    outcome: Outcome


def mean_difference(differences: Floats, clusters: Ints | None = None) -> PairedDifference:
    """The mean over draws of labels and test rows, and where it may lie with other draws and other test rows.

    The error of the mean has two parts: that between draws, which share their test rows, and that between test rows.
    Each is widened by Student's quantile of its own degrees of freedom, and their squares add up. With a single draw
    only the test rows count. One pooled count of degrees of freedom (Satterthwaite) would hold the mean too rarely with
    five draws. Without any spread there is no statistic: all rows (clusters) then point one way, as N of them do by
    chance with a probability of 2 / 2^N.

    Args:
        differences: [R, N], per draw and test row.
        clusters: number of each row's cluster [N], from 0; None where every row is independent.

    Examples:
        >>> import numpy as np
        >>> difference = mean_difference(np.array([[0.0, 1.0], [0.0, 1.0]]))
        >>> difference.difference, round(difference.p, 2)
        (0.5, 0.5)
    """
    draws, rows = differences.shape
    by_row, by_draw = differences.mean(0), differences.mean(1)  # [N], [R]
    independent = independent_rows(by_row, clusters)
    parts = [(float(by_row.var(ddof=1)) / independent, max(1.0, independent - 1))] if rows > 1 else []
    parts += [(float(by_draw.var(ddof=1)) / draws, draws - 1)] if draws > 1 else []
    mean = float(differences.mean())
    if not any(variance for variance, _ in parts):  # there is no statistic without a spread: the signs alone count
        units = rows if clusters is None else len(np.unique(clusters))
        interval = difference_interval(np.full(1, mean), LEVEL, rows, clusters)
        return PairedDifference(mean, *interval, min(1.0, 2 * 0.5**units) if mean else 1.0)
    half = _half_width(1 - LEVEL, parts)
    return PairedDifference(mean, mean - half, mean + half, _p_value(abs(mean), parts))


Variances = Sequence[tuple[float, float]]
"""Parts of the variance of a mean, with their degrees of freedom."""


def _half_width(p: float, parts: Variances) -> float:
    """Half the width of the interval that misses the mean with a chance of p."""
    return math.sqrt(sum(variance * float(student.isf(p / 2, freedom)) ** 2 for variance, freedom in parts))


def _p_value(distance: float, parts: Variances) -> float:
    """The p at which an interval around the mean ends at 0, which is this far away."""
    if distance >= _half_width(SMALLEST_P, parts):
        return SMALLEST_P
    # In the logarithm of p, as small ones matter most.
    found = brentq(lambda log_p: _half_width(math.exp(log_p), parts) - distance, math.log(SMALLEST_P), 0.0)
    return float(math.exp(found))


def points(cells: Mapping[CellKey, Goodness], clusters: Mapping[str, Ints | None]) -> list[Point]:
    """Every method with every number of labels, in the order of the cells.

    Args:
        cells: data set and number of labels -> goodness of every method.
        clusters: data set -> clusters of its test rows.
    """
    found = []
    for (dataset, labels), goodness in cells.items():
        for method, values in goodness.items():
            interval = mean_difference(values, clusters.get(dataset))
            found.append(Point(dataset, labels, method, *interval[:3]))
    return found


def gaps(cells: Mapping[CellKey, Goodness], clusters: Mapping[str, Ints | None]) -> list[Gap]:
    """The embedding's methods against those on raw columns, the p-values of all pairs corrected together."""
    pairs = [
        (*key, method, rival, mean_difference(goodness[method] - goodness[rival], clusters.get(key[0])))
        for key, goodness in cells.items()
        for method in EMBEDDED
        for rival in RAW
    ]
    adjusted = holm([pair[-1].p for pair in pairs])
    return [Gap(*pair, p, outcome(pair[-1].difference, p)) for pair, p in zip(pairs, adjusted, strict=True)]


def verdicts(compared: Sequence[Gap]) -> dict[CellKey, str]:
    """Where self-supervision pays, as a sentence for each data set and number of labels.

    It pays where one method on the embedding is better than both methods on raw columns, and costs where each method on
    the embedding is worse than one of them, beyond doubt.
    """
    words = dict[CellKey, str]()
    for key in dict.fromkeys((gap.dataset, gap.labels) for gap in compared):
        outcomes = {
            method: [gap.outcome for gap in compared if (gap.dataset, gap.labels) == key and gap.method == method]
            for method in EMBEDDED
        }
        winners = [method for method, found in outcomes.items() if set(found) == {"win"}]
        if winners:
            words[key] = f"pays: {' and '.join(winners)} better than both methods on raw columns"
        elif all("loss" in found for found in outcomes.values()):
            words[key] = "does not pay: each method on the embedding is worse than one on raw columns"
        else:
            words[key] = f"not shown to pay or to cost (p-values of all pairs together at most {FALSE_OUTCOMES})"
    return words
