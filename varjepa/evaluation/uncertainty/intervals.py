"""How much the figures of one model would vary with other test rows.

The model is held fixed: the intervals say nothing of other training rows or other seeds.
"""

import numpy as np

from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.bootstrap import (
    Interval,
    bootstrap_counts,
    bootstrap_rows,
    can_show,
    percentile_interval,
)
from varjepa.evaluation.distributions import normal_quantile, student_quantile
from varjepa.evaluation.uncertainty.metrics import Classified

LEVEL = 0.95
RESAMPLES = 1000
SCORES = ("balanced_accuracy", "f1_weighted", "f1_macro")


def wilson(share: float, rows: float, level: float = LEVEL) -> Interval:
    """Wilson's interval of a share; neither empty nor outside [0, 1] where all rows or none are right.

    Not `scipy.stats.binomtest`, which takes whole numbers of successes: rows that tie in their uncertainty share their
    errors, so that accuracy among the surest rows is no whole number of rows. The two agree on whole numbers.

    Args:
        share: observed, in [0, 1].
        rows: that it was observed on, above 0; fewer where they are not independent (`independent_rows`).
        level: of the interval, in (0, 1).

    Examples:
        >>> tuple(round(end, 3) for end in wilson(0.9, 100))
        (0.826, 0.945)
    """
    z = normal_quantile((1 + level) / 2)
    center = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * np.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2) / (1 + z * z / rows)
    # An end that equals the share may be rounded beyond it.
    low, high = min(share, center - half), max(share, center + half)
    return Interval(max(0.0, float(low)), min(1.0, float(high)))


def independent_rows(values: Floats, clusters: Ints | None) -> float:
    """The number of independent rows whose mean would be known as well as that of these rows.

    Its variance follows from the sums of the clusters (Kish 1965). Few clusters show little of that variance, so rows
    count for less, by the quantiles of the normal and of Student's distribution (Korn and Graubard 1998).

    Args:
        values: one number per row [N].
        clusters: number of each row's cluster [N], from 0; None where every row is independent.

    Examples:
        >>> round(independent_rows(np.array([0.0, 0.0, 1.0, 1.0] * 50), np.arange(200) // 2), 1)
        96.6
    """
    rows = len(values)
    if clusters is None or not rows:
        return float(rows)
    sizes, centered = np.bincount(clusters), values - values.mean()
    sizes, sums = sizes[sizes > 0], np.bincount(clusters, centered)[sizes > 0]  # [K]
    if not centered.any():  # nothing shows how alike the rows of a cluster are: entirely
        return float(rows**2 / (sizes**2).sum())
    # Variance of the mean, from the sums of the clusters; that of independent rows is smaller, or by chance larger.
    between = len(sizes) / max(len(sizes) - 1, 1) * float(sums @ sums) / rows**2
    if len(sizes) == 1:
        return 1.0
    known = (normal_quantile((1 + LEVEL) / 2) / student_quantile((1 + LEVEL) / 2, len(sizes) - 1)) ** 2
    return known * (min(float(rows), float(centered @ centered / rows) / between) if between > 0 else rows)


def classification_intervals(
    result: Classified,
    *,
    clusters: Ints | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Intervals of accuracy (Wilson) and of balanced accuracy and both F1 scores (percentile bootstrap).

    All of them follow from the confusion matrix, so a resample of rows is a draw of its cells. Of too few rows or
    clusters for a bootstrap (`can_show`) there is only the first.

    Args:
        result: what a probe says of N labelled rows, N at least 1.
        clusters: number of each row's cluster [N], from 0, which are resampled; None resamples rows.
        level: of the intervals, in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the resamples.
    """
    n_classes, rows = result.probabilities.shape[1], len(result.labels)
    # K cells of the confusion matrix that hold rows, each as one number.
    cells, cell, counts = np.unique(
        result.labels * n_classes + result.predicted, return_inverse=True, return_counts=True
    )  # [K], [N], [K]
    true, predicted = np.divmod(cells, n_classes)
    classes = np.arange(n_classes)
    of_true, of_predicted = (
        (which[:, None] == classes).astype(np.float64) for which in (true, predicted)
    )  # [K, C]: 1 where the cell belongs to the class
    right = of_true * (true == predicted)[:, None]  # [K, C]

    def scores(drawn: Ints) -> Floats:  # [S, K] -> [S, 3]
        return np.stack(list(_scores(drawn @ right, drawn @ of_true, drawn @ of_predicted).values()), axis=1)

    if clusters is None:
        drawn = bootstrap_counts(counts, scores, resamples=resamples, seed=seed)
    else:

        def scores_of_rows(weights: Ints) -> Floats:  # [S, N] -> [S, 3]
            return scores(np.stack([np.bincount(cell, row, len(cells)) for row in weights]))

        drawn = bootstrap_rows(rows, scores_of_rows, resamples=resamples, seed=seed, clusters=clusters)
    independent = independent_rows(result.error.astype(np.float64), clusters)
    accuracy = wilson(float((~result.error).mean()), independent, level)
    if not can_show(rows, clusters, level):
        return {"accuracy": accuracy}
    intervals = (percentile_interval(column, level) for column in drawn.T)
    return {"accuracy": accuracy} | dict(zip(SCORES, intervals, strict=True))


def _scores(right: Floats, true: Floats, predicted: Floats) -> dict[str, Floats]:
    """Scores of many confusion matrices, as scikit-learn defines them, from counts per class [R, C]."""
    present = true > 0  # a class that a resample lost does not count there
    recall = np.where(present, right / np.maximum(true, 1), 0)
    f1 = np.where(present, 2 * right / np.maximum(true + predicted, 1), 0)
    balanced = recall.sum(1) / present.sum(1)  # [R], as the other two
    return dict(zip(SCORES, (balanced, (f1 * true).sum(1) / true.sum(1), f1.sum(1) / present.sum(1)), strict=True))


def regression_intervals(
    predicted: Floats,
    values: Floats,
    *,
    clusters: Ints | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Intervals of RMSE and R2: percentile bootstrap; none of too few rows or clusters for it (`can_show`).

    Args:
        predicted: [N], N at least 2.
        values: [N].
        clusters: number of each row's cluster [N], from 0, which are resampled; None resamples rows.
        level: of the intervals, in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the resamples.
    """
    if not can_show(len(values), clusters, level):
        return {}
    squares = (predicted - values) ** 2  # [N]
    centered = values - values.mean()  # [N]

    def scores(weights: Ints) -> Floats:  # [S, N] -> [S, 2]
        n, errors, mean = weights.sum(1), weights @ squares, weights @ centered  # [S] each
        spread = weights @ centered**2 - mean**2 / n
        # A resample of equal values has no spread: its R2 is far below 0, not infinite.
        return np.stack([np.sqrt(errors / n), 1 - errors / np.maximum(spread, np.finfo(np.float64).tiny)], axis=1)

    rmse, r2 = bootstrap_rows(len(values), scores, resamples=resamples, seed=seed, clusters=clusters).T
    return {"rmse": percentile_interval(rmse, level), "r2": percentile_interval(r2, level)}
