"""Accuracy of a classifier on rows without labels: an estimate, and an interval that allows for drift.

The estimate is the mean confidence of the rows, corrected by what rows of such confidence were worth in the reference.
It is right if drift changes which rows come, and not what their labels are. How far it is off otherwise is learned from
the reference, by batches whose true accuracies are known: some lean towards any corner of it, some have other shares of
the classes, and some have damaged cells. Their estimates are compared with their true accuracies, and the spread of the
errors beyond chance is put down per unit of shift. A batch that has shifted twice as far has an interval that is about
twice as wide.

Chance is that of independent rows, and more of it where rows come in clusters: as many as an independent row stands for
(`varjepa.evaluation.drift.dependence`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtrit

from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.drift.dependence import Clustering, alike, rows_of_a_row
from varjepa.evaluation.drift.samples import Dependent
from varjepa.evaluation.uncertainty.calibration import confidence_bins

N_BINS = 20
"""Bins of confidence."""

PRIOR_ROWS = 20.0
"""Rows whose accuracy is their confidence, added to each bin: few rows should not correct much."""

BATCHES, BATCH_ROWS = 200, 500
"""Batches that are drawn from the reference, and rows of each."""

STRONGEST, MOST_OF_A_CLASS = 1.5, 3.0
"""The strongest lean of a drawn batch: log weight per standard deviation of a statistic; and weight of a class."""

FURTHEST = 5.0
"""Standard deviations at which statistics of rows are cut, so that a single row moves no batch."""

LEVEL, SAFETY = 0.9, 0.95
"""Level of the interval, and the share of the batches of every kind whose interval is to hold the truth."""

FEWEST = 100
"""Labelled reference rows that an estimate needs."""


class AccuracyReference(Dependent):
    """What labelled reference rows say about rows without labels.

    How alike rows of a cluster are is that of right answers beyond what confidence says.

    Attributes:
        gains: accuracy minus mean confidence per bin of confidence.
        rows: reference rows per bin.
        means: of the statistics of reference rows, by name.
        deviations: their standard deviations.
        bias: standard deviation of the error of an estimate per unit of shift, beyond chance.
    """

    gains: tuple[float, ...]
    rows: tuple[int, ...]
    means: dict[str, float]
    deviations: dict[str, float]
    bias: float


class DamagedRows(NamedTuple):
    """Reference rows whose cells were damaged, and what the model says of them then.

    Attributes:
        rows: their positions in the reference [M].
        confidence: calibrated probability of the predicted class [M].
        correct: whether the prediction is right [M].
        statistics: by name, [M] each.
    """

    rows: Ints
    confidence: Floats
    correct: Bools
    statistics: Mapping[str, Floats]


class EstimatedAccuracy(NamedTuple):
    """Accuracy of rows without labels.

    Attributes:
        accuracy: the estimate.
        low: lower end of the interval for the accuracy of these rows.
        high: upper end.
        shift: how far the rows have moved: root mean square over statistics of the shift of their mean, in standard
            deviations.
    """

    accuracy: float
    low: float
    high: float
    shift: float


def fit_accuracy_reference(
    confidence: Floats, correct: Bools, statistics: Mapping[str, Floats], *, classes: Ints | None = None,
    damaged: Sequence[DamagedRows] = (), clusters: Clustering | None = None, seed: int = 0,
) -> AccuracyReference | None:  # fmt: skip
    """Learns from labelled rows that the model was not fitted to.

    Args:
        confidence: calibrated probability of the predicted class [N].
        correct: whether the prediction is right [N].
        statistics: of the rows, by name, [N] each.
        classes: true class of each row [N], for batches with other shares of the classes; None draws none of these.
        damaged: batches of rows whose cells were damaged.
        clusters: of the rows; None where they come in none.
        seed: of the drawn batches.

    Returns:
        None for fewer than `FEWEST` rows.
    """
    if len(confidence) < FEWEST:
        return None
    means = {name: float(values.mean()) for name, values in statistics.items()}
    deviations = {name: float(values.std()) or 1.0 for name, values in statistics.items()}
    reference = _binned(confidence, correct, means, deviations)
    if clusters is not None:
        reference = reference.clustered(alike(correct - _chances(confidence, reference), clusters), clusters.size)
    numbers = np.arange(len(confidence)) if clusters is None else clusters.numbers
    known = _Rows(confidence, correct, _standardised(statistics, reference), numbers)
    rng = np.random.default_rng([seed, 41])
    kinds = [_drawn(known, lambda part: _leaning(known.x[part], rng), reference, rng)]
    if classes is not None:
        kinds.append(_drawn(known, lambda part: _other_shares(classes[part], rng), reference, rng))
    if damaged:
        kinds.append([
            _judged(
                _Rows(each.confidence, each.correct, _standardised(each.statistics, reference), numbers[each.rows]),
                _fitted(known, np.isin(np.arange(len(confidence)), each.rows, invert=True), reference),
            )
            for each in damaged
        ])  # fmt: skip
    return reference.model_copy(update={"bias": _bias(kinds)})


def estimate_accuracy(
    confidence: Floats, statistics: Mapping[str, Floats], reference: AccuracyReference, *, level: float = LEVEL,
    cluster_rows: float | None = None,
) -> EstimatedAccuracy:  # fmt: skip
    """Accuracy of rows whose labels are not known.

    Args:
        confidence: calibrated probability of the predicted class [N], N at least 1.
        statistics: of the rows, by name, [N] each; those that the reference does not know are not used.
        reference: of the model.
        level: of the interval, in (0, 1).
        cluster_rows: rows in the cluster of a row, on average over rows; None: as in the reference.
    """
    estimate, variance = _estimate(
        confidence, reference, reference.cluster_rows if cluster_rows is None else cluster_rows
    )
    known = {name: values for name, values in statistics.items() if name in reference.means}
    shift = _shift(_standardised(known, reference).mean(0)) if known else 0.0
    reach = float(ndtri((1 + level) / 2)) * math.sqrt(variance + (reference.bias * shift) ** 2)
    return EstimatedAccuracy(estimate, max(0.0, estimate - reach), min(1.0, estimate + reach), shift)


def _binned(
    confidence: Floats, correct: Bools, means: dict[str, float], deviations: dict[str, float]
) -> AccuracyReference:
    bins = confidence_bins(confidence, N_BINS)
    rows = np.bincount(bins, minlength=N_BINS)  # [bins]
    gaps = np.bincount(bins, correct - confidence, minlength=N_BINS)
    gains = tuple((gaps / (rows + PRIOR_ROWS)).tolist())
    return AccuracyReference(gains=gains, rows=tuple(rows.tolist()), means=means, deviations=deviations, bias=0.0)


def _chances(confidence: Floats, reference: AccuracyReference) -> Floats:
    """Probability that the prediction is right [N]: the confidence, corrected."""
    bins = confidence_bins(confidence, len(reference.gains))
    return np.clip(confidence + np.array(reference.gains)[bins], 0.0, 1.0)


def _estimate(confidence: Floats, reference: AccuracyReference, cluster_rows: float) -> tuple[float, float]:
    """Estimated accuracy, and its variance by chance: of the labels of these rows, and of the corrections."""
    bins, chance = confidence_bins(confidence, len(reference.gains)), _chances(confidence, reference)  # [N] each
    rows = reference.clustered(reference.alike, cluster_rows)
    labels = float((chance * (1 - chance)).sum()) / len(chance) ** 2 / rows.independent
    shares = np.bincount(bins, minlength=len(reference.gains)) / len(chance)
    middle = (np.arange(len(shares)) + 0.5) / len(shares)
    corrections = shares**2 * middle * (1 - middle) / (np.array(reference.rows) + PRIOR_ROWS)
    return float(chance.mean()), labels + float(corrections.sum()) / reference.independent


def _standardised(statistics: Mapping[str, Floats], reference: AccuracyReference) -> Floats:
    """Statistics of rows [N, K] in standard deviations of the reference."""
    columns = [
        (np.nan_to_num(values, nan=reference.means[name]) - reference.means[name]) / reference.deviations[name]
        for name, values in statistics.items()
    ]
    return np.clip(np.stack(columns, axis=1), -FURTHEST, FURTHEST)


def _shift(means: Floats) -> float:
    """Root mean square of standardised means [K]."""
    return float(np.sqrt((means**2).mean()))


class _Rows(NamedTuple):
    """Confidence [N], whether the prediction is right [N], standardised statistics [N, K], and clusters [N], from 0."""

    confidence: Floats
    correct: Bools
    x: Floats
    clusters: Ints

    def of(self, rows: Ints) -> "_Rows":
        return _Rows(self.confidence[rows], self.correct[rows], self.x[rows], self.clusters[rows])


class _Judged(NamedTuple):
    """The error of a batch's estimate, how far the batch has shifted, and the variance of the error by chance."""

    error: float
    shift: float
    chance: float


def _judged(batch: _Rows, fitted: AccuracyReference) -> _Judged:
    cluster_rows = rows_of_a_row(np.unique(batch.clusters, return_counts=True)[1])
    estimate, variance = _estimate(batch.confidence, fitted, cluster_rows)
    return _Judged(float(batch.correct.mean()) - estimate, _shift(batch.x.mean(0)), variance)


def _fitted(known: _Rows, fitting: Bools, reference: AccuracyReference) -> AccuracyReference:
    """Bins from other rows than those of the batch that they judge: a bin knows its own rows too well."""
    fitted = _binned(known.confidence[fitting], known.correct[fitting], reference.means, reference.deviations)
    return fitted.clustered(reference.alike, reference.cluster_rows)


def _drawn(
    known: _Rows, weights: Callable[[Bools], Floats], reference: AccuracyReference, rng: np.random.Generator
) -> list[_Judged]:
    """Batches of one half of the rows, drawn by their weights, and judged by the other half."""
    half, batches = (rng.random(int(known.clusters.max()) + 1) < 0.5)[known.clusters], []
    for batch in range(BATCHES):
        part = half if batch % 2 else ~half
        weight = weights(part)
        # Without replacement: copies of a row are right or wrong together, which new rows are not.
        count = min(BATCH_ROWS, max(1, len(weight) // 4))
        rows = rng.choice(np.flatnonzero(part), size=count, replace=False, p=weight / weight.sum())
        batches.append(_judged(known.of(rows), _fitted(known, ~part, reference)))
    return batches


def _other_shares(classes: Ints, rng: np.random.Generator) -> Floats:
    """Weights of rows [N] by their class."""
    return (MOST_OF_A_CLASS ** rng.uniform(-1, 1, classes.max() + 1))[classes]


def _leaning(x: Floats, rng: np.random.Generator) -> Floats:
    """Weights of rows [N] that lean towards a random direction of the statistics [N, K]."""
    direction = rng.normal(size=x.shape[1]) * (rng.random(x.shape[1]) < 0.5)
    norm = float(np.linalg.norm(direction))
    along = x @ direction / norm if norm else np.zeros(len(x))
    along = along / (along.std() or 1.0)
    return np.exp(np.clip(rng.uniform(0, STRONGEST) * along, -20, 20))


def _bias(kinds: Sequence[Sequence[_Judged]]) -> float:
    """The smallest bias per unit of shift with which intervals hold `SAFETY` of the batches of every kind."""
    return max(_needed(np.array(batches)) for batches in kinds)


def _needed(batches: Floats) -> float:
    """The bias that serves the batches [N, 3] of a kind."""
    errors, shifts, chances = batches.T
    shifts, quantile = np.maximum(shifts, 1e-9), float(ndtri((1 + LEVEL) / 2))
    if len(batches) >= BATCHES:
        # The bias that each batch needs by itself; a quantile of them serves that share of the batches.
        needed = np.sqrt(np.maximum((errors / quantile) ** 2 - chances, 0.0)) / shifts
        return float(np.quantile(needed, SAFETY))
    # A quantile of few would be their largest. Their spread, as if normal, with Student's allowance for so few.
    spread = math.sqrt(float((np.maximum(errors**2 - chances, 0.0) / shifts**2).mean()))
    return spread * float(stdtrit(len(batches), (1 + LEVEL) / 2)) / quantile
