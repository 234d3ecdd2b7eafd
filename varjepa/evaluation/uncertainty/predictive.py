"""Predictive distributions of numbers, made honest by conformal prediction.

A row's distribution is a rising map from a standard scale to the label: straight lines between the row's own quantiles.
Which labels other rows have on that scale gives the distribution there, so the promise holds whatever the map is, and
the better the map, the narrower the intervals.

| map | quantiles of a row | intervals |
| --- | --- | --- |
| split | the prediction, plus and minus 1 | of equal width (plain split conformal) |
| normalised | the prediction, plus and minus the predicted size of its error | wider for harder rows |
| quantile | predicted quantiles (conformalised quantile regression, Romano et al. 2019) | skewed as well |

References:
    Vovk et al. 2019, "Nonparametric predictive distributions based on conformal prediction"; Gneiting and Raftery 2007
    (CRPS).
"""

from typing import Literal, NamedTuple

import numpy as np

from varjepa.amounts import amount
from varjepa.config.base import Facts
from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.uncertainty.conformal import conformal_threshold, halves

METHOD = Literal["split", "normalised", "quantile"]

N_QUANTILES = 99
"""Quantiles that a distribution is stored and scored by."""

LOWER_SHARES = (0.5, 0.35, 0.65, 0.2, 0.8)
"""Shares of the allowed misses that may lie below the interval, besides one interval of equal arms."""

SPLITS = 10
"""Random halves of the validation rows that choose map and arms."""

NARROWER, DEVIATIONS = 0.99, 1.0
"""A less simple choice has to be narrower than the one before, to this share of its width, and by this many standard
deviations of the gain over halves: on few rows, the narrowest choice of many is narrowest by chance."""

SMALLEST_STEP = 1e-6
"""Smallest distance of a row's quantiles, in units of the largest in the data: none may coincide."""


class RowQuantiles(NamedTuple):
    """The map of every row.

    Attributes:
        scale: places on the standard scale, rising [K], K at least 2.
        values: labels of each row at these places, rising [N, K].
    """

    scale: Floats
    values: Floats

    @classmethod
    def around(cls, center: Floats, width: Floats) -> "RowQuantiles":
        """Maps -1 and 1 to `center` [N] minus and plus `width` [N]."""
        return cls(np.array([-1.0, 1.0]), np.stack([center - width, center + width], axis=1))

    @classmethod
    def of(cls, scale: Floats, values: Floats, step: float) -> "RowQuantiles":
        """Of predicted quantiles [N, K], which may cross or coincide; neighbours are at least `step` apart."""
        rising = np.sort(values, axis=1)
        apart = np.arange(values.shape[1]) * step
        return cls(scale, np.maximum.accumulate(rising - apart, axis=1) + apart)

    def of_rows(self, rows: Bools) -> "RowQuantiles":
        """The maps of some rows."""
        return RowQuantiles(self.scale, self.values[rows])

    def standardise(self, labels: Floats) -> Floats:
        """The places of labels [N] on the standard scale; beyond the outermost quantiles the lines go on."""
        segment = np.clip((self.values < labels[:, None]).sum(1) - 1, 0, len(self.scale) - 2)  # [N]
        rows = np.arange(len(labels))
        low, high = self.values[rows, segment], self.values[rows, segment + 1]
        start, end = self.scale[segment], self.scale[segment + 1]
        return start + (labels - low) / (high - low) * (end - start)

    def at(self, places: Floats) -> Floats:
        """Labels [N, J] of every row at some places [J]."""
        segment = np.clip(np.searchsorted(self.scale, places) - 1, 0, len(self.scale) - 2)  # [J]
        share = (places - self.scale[segment]) / (self.scale[segment + 1] - self.scale[segment])
        return self.values[:, segment] * (1 - share) + self.values[:, segment + 1] * share


class Arms(NamedTuple):
    """How the misses of an interval are shared.

    Attributes:
        lower: share of them that may lie below it; None for arms of equal length on the standard scale.
    """

    lower: float | None = None

    def ends(self, standard: Floats, level: float, largest: int = 1) -> tuple[float, float]:
        """Ends of an interval on the standard scale; infinite where rows are too few.

        Args:
            standard: places of the labels of calibration rows [N].
            level: share of new rows inside, in (0, 1).
            largest: rows of the largest cluster.
        """
        if self.lower is None:
            end = conformal_threshold(np.abs(standard), level, largest)
            return -end, end
        missed = 1 - level
        low = conformal_threshold(-standard, 1 - missed * self.lower, largest)
        return -low, conformal_threshold(standard, 1 - missed * (1 - self.lower), largest)


class IntervalRule(Facts):
    """How intervals are made from the maps of rows, and what is promised of them.

    Attributes:
        method: of the map.
        level: share of new rows whose label is in their interval.
        low: lower end on the standard scale.
        high: upper end.
        quantiles: `N_QUANTILES` places on the standard scale that cut calibration rows into equal shares.
        rows: number of calibration rows.
        largest: rows of the largest cluster that was reckoned with.
        reason: of the choice of the method.
        assumption: under which the promise holds, in words.
    """

    method: METHOD
    level: float
    low: float
    high: float
    quantiles: tuple[float, ...]
    rows: int
    largest: int = 1
    reason: str
    assumption: str = ""

    def interval(self, maps: RowQuantiles) -> tuple[Floats, Floats]:
        """Lower and upper ends of each row [N]."""
        ends = maps.at(np.array([self.low, self.high]))
        return ends[:, 0], ends[:, 1]

    def uncertainty(self, interval: tuple[Floats, Floats], size: Floats) -> Floats:
        """Half the width of intervals [N]; where all are equally wide, the size of the errors."""
        low, high = interval
        return size if self.method == "split" else (high - low) / 2

    def pit(self, maps: RowQuantiles, labels: Floats) -> Floats:
        """Probability integral transforms of labels [N], in (0, 1): uniform on rows like the calibration rows."""
        levels = np.arange(1, len(self.quantiles) + 1) / (len(self.quantiles) + 1)
        return np.interp(
            maps.standardise(labels), self.quantiles, levels, left=levels[0] / 2, right=(1 + levels[-1]) / 2
        )

    def crps(self, maps: RowQuantiles, labels: Floats) -> Floats:
        """Continuous ranked probability scores of rows [N], in units of the label; smaller is better.

        Twice the mean pinball loss over the quantiles.
        """
        quantiles = np.asarray(self.quantiles)
        levels = np.arange(1, len(quantiles) + 1) / (len(quantiles) + 1)
        beyond = labels[:, None] - maps.at(quantiles)  # [N, J]
        return 2 * np.maximum(levels * beyond, (levels - 1) * beyond).mean(1)


class ValidationRows(NamedTuple):
    """Rows that choose a method.

    Attributes:
        maps: of each method that there is, the simplest first.
        labels: values [N].
        clusters: number of each row's cluster [N], from 0; None where rows are independent.
    """

    maps: dict[METHOD, RowQuantiles]
    labels: Floats
    clusters: Ints | None = None


def choose_method(rows: ValidationRows, level: float, largest: int = 1, seed: int = 0) -> tuple[METHOD, Arms, str]:
    """The method and arms whose intervals are narrowest, and why; the simplest unless others are narrower.

    Args:
        rows: which are halved at random, time and again: one half sets the ends, the other one measures the width.
        level: of the intervals.
        largest: rows of the largest cluster.
        seed: of the halves.
    """
    options = [(method, Arms(lower)) for method in rows.maps for lower in (None, *LOWER_SHARES)]
    widths: dict[tuple[METHOD, Arms], list[float]] = {option: [] for option in options}
    rng = np.random.default_rng([seed, 52])
    standard = {method: maps.standardise(rows.labels) for method, maps in rows.maps.items()}
    for _ in range(SPLITS):
        half = halves(len(rows.labels), rows.clusters, rng)
        for part, other in ((half, ~half), (~half, half)):
            for method, arms in options:
                ends = arms.ends(standard[method][part], level, largest)
                widths[method, arms].append(_width(rows.maps[method].of_rows(other), ends))
    if not np.isfinite(widths[options[0]]).all():
        return *options[0], "split, as validation rows are too few to choose"
    best = options[0]
    for option in options:
        if _narrower(widths[option], widths[best]):
            best = option
    means = {option: float(np.mean(found)) for option, found in widths.items()}
    gain = f", {amount(means[options[0]])} by plain split conformal" if best[0] != "split" else ""
    return best[0], best[1], f"{best[0]}: mean width {amount(means[best])} on validation rows{gain}"


def _narrower(widths: list[float], before: list[float]) -> bool:
    """Whether intervals are narrower beyond doubt, from mean widths on the same halves."""
    if not np.isfinite(widths).all():
        return False
    gains = np.log(widths) - np.log(before)  # below 0 where they are narrower
    return bool(gains.mean() < min(np.log(NARROWER), -DEVIATIONS * gains.std()))


def _width(maps: RowQuantiles, ends: tuple[float, float]) -> float:
    if not np.isfinite(ends).all() or not len(maps.values):
        return np.inf
    values = maps.at(np.array(ends))
    return float((values[:, 1] - values[:, 0]).mean())


def fit_rule(
    choice: tuple[METHOD, Arms, str], maps: RowQuantiles, labels: Floats, level: float, *, largest: int = 1,
    assumption: str = "",
) -> IntervalRule | None:  # fmt: skip
    """Sets the ends on calibration rows; None where they are too few.

    Args:
        choice: of `choose_method`.
        maps: of calibration rows that nothing else has looked at.
        labels: their values [N].
        level: share of new rows inside.
        largest: rows of the largest cluster.
        assumption: under which the promise holds, in words.
    """
    method, arms, reason = choice
    standard = maps.standardise(labels)
    low, high = arms.ends(standard, level, largest)
    if not np.isfinite([low, high]).all():  # one tail may be too few where both together are enough
        low, high = Arms().ends(standard, level, largest)
    if not np.isfinite([low, high]).all():
        return None
    levels = np.arange(1, N_QUANTILES + 1) / (N_QUANTILES + 1)
    quantiles = np.quantile(standard, levels, method="weibull")
    return IntervalRule(
        method=method, level=level, low=low, high=high, quantiles=tuple(quantiles.tolist()), rows=len(labels),
        largest=largest, reason=reason, assumption=assumption,
    )  # fmt: skip
