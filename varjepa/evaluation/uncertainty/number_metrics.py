"""How good intervals, distributions and an order by uncertainty are, for a label that is a number."""

from typing import NamedTuple

import numpy as np

from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.bootstrap import Interval, bootstrap_rows, can_show, percentile_interval
from varjepa.evaluation.uncertainty.certificate import Certificate, RankedRows, certify, coverage_error
from varjepa.evaluation.uncertainty.intervals import LEVEL, independent_rows, wilson
from varjepa.evaluation.uncertainty.predictive import IntervalRule, RowQuantiles
from varjepa.evaluation.uncertainty.selective import aurc, excess_aurc, risk_at, risk_coverage

RESAMPLES = 40
"""Draws of calibration rows that show how much the coverage of a certificate varies."""

SPAN_RESAMPLES = 1000
"""Resamples of test rows behind an interval of a mean."""


class NumberRows(NamedTuple):
    """Errors of rows and their uncertainty.

    Attributes:
        uncertainty: [N], larger = less sure.
        error: prediction minus label [N].
        clusters: number of each row's cluster [N], from 0; None where every row is independent.
    """

    uncertainty: Floats
    error: Floats
    clusters: Ints | None = None

    def ranked(self, tolerance: float) -> RankedRows:
        """The rows as right or wrong, by whether the error is within a tolerance."""
        return RankedRows(self.uncertainty, np.abs(self.error) <= tolerance, self.clusters)


def interval_metrics(rule: IntervalRule, maps: RowQuantiles, labels: Floats) -> dict[str, float]:
    """Coverage, mean width, promise and distance of the PIT from uniform of intervals on rows [N]; and the CRPS."""
    low, high = rule.interval(maps)
    return {
        "interval/coverage": float(((low <= labels) & (labels <= high)).mean()),
        "interval/width": float((high - low).mean()),
        "interval/promised": rule.level,
        "interval/pit_ks": uniform_distance(rule.pit(maps, labels)),
        "head/crps": float(rule.crps(maps, labels).mean()),
    }


def number_intervals(
    rule: IntervalRule, maps: RowQuantiles, labels: Floats, clusters: Ints | None = None, seed: int = 0
) -> dict[str, Interval]:
    """95% intervals of coverage (Wilson), mean width and CRPS (bootstrap over rows or clusters, of enough of them)."""
    low, high = rule.interval(maps)
    inside = ((low <= labels) & (labels <= high)).astype(np.float64)
    means = {"interval/width": high - low, "head/crps": rule.crps(maps, labels)}
    enough = can_show(len(labels), clusters, LEVEL)
    spans = {name: _mean_interval(values, clusters, seed) for name, values in means.items() if enough}
    return {"interval/coverage": wilson(float(inside.mean()), max(1.0, independent_rows(inside, clusters)))} | spans


def _mean_interval(values: Floats, clusters: Ints | None, seed: int) -> Interval:
    def means(counts: Ints) -> Floats:  # [S, N] -> [S]
        return counts @ values / counts.sum(1)

    return percentile_interval(
        bootstrap_rows(len(values), means, resamples=SPAN_RESAMPLES, seed=seed, clusters=clusters), LEVEL
    )


def uniform_distance(values: Floats) -> float:
    """Kolmogorov-Smirnov distance of values [N] in [0, 1] from the uniform distribution.

    Examples:
        >>> round(uniform_distance(np.array([0.25, 0.75])), 2)
        0.25
    """
    ordered, rows = np.sort(values), len(values)
    steps = np.arange(rows + 1) / rows
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))


def selective_number_metrics(uncertainty: Floats, error: Floats) -> dict[str, float]:
    """RMSE at 90, 80 and 50% coverage, and areas under the curves of absolute and squared error over coverage.

    Args:
        uncertainty: [N], larger = less sure.
        error: prediction minus label [N].
    """
    squared, absolute = risk_coverage(uncertainty, error**2), risk_coverage(uncertainty, np.abs(error))
    kept = {f"rmse_{percent}": risk_at(squared, percent / 100) ** 0.5 for percent in (90, 80, 50)}
    areas = {"aurc": aurc(absolute), "e_aurc": excess_aurc(absolute, np.abs(error)), "aurc_squared": aurc(squared)}
    return kept | areas


def default_tolerance(labels: Floats) -> float:
    """The error that is tolerated where nobody says which: half the range between the quartiles of training labels.

    Where half of all rows have one value, the standard deviation instead; 1 where all have.

    Examples:
        >>> default_tolerance(np.arange(101.0))
        25.0
    """
    first, third = np.quantile(labels, [0.25, 0.75])
    return float((third - first) / 2 or labels.std() or 1.0)


def certify_numbers(
    calibration: NumberRows,
    other: NumberRows,
    *,
    tolerance: float,
    accuracy: float,
    confidence: float,
    assumption: str = "",
) -> Certificate:
    """The largest set of rows of which at least a share `accuracy` is predicted to within a tolerance.

    Args:
        calibration: rows that nothing else has looked at.
        other: other rows, which choose the thresholds.
        tolerance: largest error that counts as right, in units of the label, above 0.
        accuracy: promised share of accepted rows.
        confidence: of the promise.
        assumption: of the promise, in words.
    """
    parts = calibration.ranked(tolerance), other.ranked(tolerance)
    certificate = certify(*parts, accuracy=accuracy, confidence=confidence, assumption=assumption)
    varies = coverage_error(*parts, accuracy=accuracy, confidence=confidence, resamples=RESAMPLES)
    return certificate.model_copy(update={"kind": "selective_error", "tolerance": tolerance, "coverage_error": varies})
