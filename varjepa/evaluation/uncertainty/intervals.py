"""How much the figures of one model would vary with other test rows.

The model is held fixed: the intervals say nothing of other training rows or other seeds.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from varjepa.evaluation.uncertainty.metrics import Classified
from varjepa.evaluation.uncertainty.selective import Floats

LEVEL = 0.95
RESAMPLES = 1000
AT_ONCE = 20_000_000
"""Rows, or cells of confusion matrices, that are drawn at a time."""


class Interval(NamedTuple):
    """Where a figure may lie.

    Attributes:
        low: lower end.
        high: upper end.
    """

    low: float
    high: float


def wilson(share: float, rows: int, level: float = LEVEL) -> Interval:
    """Wilson's interval of a share; neither empty nor outside [0, 1] where all rows or none are right.

    Args:
        share: observed, in [0, 1].
        rows: that it was observed on, at least 1.
        level: of the interval, in (0, 1).

    Examples:
        >>> tuple(round(end, 3) for end in wilson(0.9, 100))
        (0.826, 0.945)
    """
    z = float(norm.ppf((1 + level) / 2))
    center = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * np.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2) / (1 + z * z / rows)
    return Interval(max(0.0, float(center - half)), min(1.0, float(center + half)))


def classification_intervals(
    result: Classified, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """Intervals of accuracy (Wilson) and of balanced accuracy and both F1 scores (percentile bootstrap over rows).

    All of them follow from the confusion matrix, so a resample of rows is a draw of its cells.

    Args:
        result: what a probe says of N labelled rows, N at least 1.
        level: of the intervals, in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the resamples.
    """
    n_classes = result.probabilities.shape[1]
    cells, counts = np.unique(result.labels * n_classes + result.predicted, return_counts=True)
    true, predicted = np.divmod(cells, n_classes)
    classes = np.arange(n_classes)
    of_true, of_predicted = (
        (which[:, None] == classes).astype(np.float64) for which in (true, predicted)
    )  # [cells, C]
    right = of_true * (true == predicted)[:, None]
    rng, n = np.random.default_rng(seed), len(result.labels)
    found: dict[str, list[Floats]] = {"balanced_accuracy": [], "f1_weighted": [], "f1_macro": []}
    for size in _portions(resamples, len(cells)):
        drawn = rng.multinomial(n, counts / n, size=size)
        for name, values in _scores(drawn @ right, drawn @ of_true, drawn @ of_predicted).items():
            found[name].append(values)
    accuracy = wilson(float((~result.error).mean()), n, level)
    return {"accuracy": accuracy} | {name: _percentiles(np.concatenate(parts), level) for name, parts in found.items()}


def _scores(right: Floats, true: Floats, predicted: Floats) -> dict[str, Floats]:
    """Scores of many confusion matrices, as scikit-learn defines them, from counts per class [R, C]."""
    present = true > 0
    recall = np.where(present, right / np.maximum(true, 1), 0)
    f1 = np.where(present, 2 * right / np.maximum(true + predicted, 1), 0)
    return {
        "balanced_accuracy": recall.sum(1) / present.sum(1),
        "f1_weighted": (f1 * true).sum(1) / true.sum(1),
        "f1_macro": f1.sum(1) / present.sum(1),
    }


def regression_intervals(
    predicted: Floats, values: Floats, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """Intervals of RMSE and R2: percentile bootstrap over rows.

    Args:
        predicted: [N], N at least 2.
        values: [N].
        level: of the intervals, in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the resamples.
    """
    n, rng = len(values), np.random.default_rng(seed)
    squares = (predicted - values) ** 2
    centered = values - values.mean()
    rmse, r2 = [], []
    for size in _portions(resamples, n):
        rows: NDArray[np.int64] = rng.integers(n, size=(size, n))
        errors, spread = squares[rows].sum(1), centered[rows].var(1) * n
        rmse.append(np.sqrt(errors / n))
        r2.append(1 - errors / np.maximum(spread, np.finfo(np.float64).tiny))
    return {"rmse": _percentiles(np.concatenate(rmse), level), "r2": _percentiles(np.concatenate(r2), level)}


def _portions(resamples: int, width: int) -> Iterator[int]:
    """Sizes of portions that fit into memory."""
    most = max(1, AT_ONCE // max(width, 1))
    yield from (min(most, resamples - start) for start in range(0, resamples, most))


def _percentiles(values: Floats, level: float) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
