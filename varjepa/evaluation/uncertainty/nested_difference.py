"""Whether one feature set is better than another over splits, encoders and test rows: an interval and a p-value."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.uncertainty.intervals import independent_rows
from varjepa.evaluation.uncertainty.paired_bootstrap import PairedDifference, paired_bootstrap


def nested_difference(
    first: Sequence[Floats], second: Sequence[Floats], *, ratio: float, between: float = 0.0,
    clusters: Sequence[Ints | None] | None = None, level: float = 0.95, resamples: int = 2000, seed: int = 0,
) -> PairedDifference:  # fmt: skip
    """Mean difference of two feature sets with an interval that holds for other splits, encoders and test rows.

    The variance of the mean over J splits is (1/J + ratio) times the variance of the mean of one split. The factor is
    that of Nadeau and Bengio: splits of one table share training rows, so their means are not independent. The variance
    of one split's mean is a sum:

    - within splits: that of the mean over its test rows, plus that between its encoders divided by their number. Rows
      in clusters, such as those of customers, count for as many as there would have to be independent ones;
    - between splits: the variance of the means of the splits. As a few splits may lie close together by chance, it
      counts at least as much as the variance within, and as `between`.

    Without any effect of the split this counts test rows and encoders twice, as a bootstrap of splits and then of rows
    does. Degrees of freedom are Satterthwaite's. With one split there is nothing between splits, and other splits are
    not covered. With one split and one encoder this is `paired_bootstrap`, unless rows come in clusters.

    Args:
        first: per split, correctness or losses [E, R, N] of one feature set: per encoder, run of the predictor and row.
        second: the same of the other, with the same splits, encoders and rows.
        ratio: test rows over training rows.
        between: variance between splits of comparisons like this one, from `between_splits`.
        clusters: per split, number of each row's cluster [N], from 0, or None; None where all rows are independent.
        level: of the interval, in (0, 1).
        resamples: of the bootstrap over rows, where it is used.
        seed: of the resamples.

    References:
        Nadeau and Bengio 2003, "Inference for the generalization error", section 4; Satterthwaite 1946; Davison and
        Hinkley 1997, "Bootstrap methods and their application", section 3.8 (data in two levels).

    Examples:
        >>> right, wrong = [np.ones((2, 1, 50))] * 3, [np.tile(np.arange(50) % 2.0, (2, 1, 1))] * 3
        >>> nested_difference(right, wrong, ratio=0.3).difference
        0.5
    """
    clusters = clusters or [None] * len(first)
    if len(first) == 1 and len(first[0]) == len(second[0]) == 1 and clusters[0] is None:
        return paired_bootstrap(first[0][0], second[0][0], level=level, resamples=resamples, seed=seed)
    by_encoder = [a.mean(1) - b.mean(1) for a, b in zip(first, second, strict=True)]  # per split [E, N]
    means = np.array([values.mean() for values in by_encoder])  # [J]
    parts = _variances(by_encoder, means, clusters, between)
    splits, total = len(means), sum(variance for variance, _ in parts)
    difference, factor = float(means.mean()), 1 / splits + ratio if splits > 1 else 1.0
    if not total:  # there is no statistic without a spread
        return PairedDifference(difference, difference, difference, 1.0)
    freedom = total**2 / sum(variance**2 / degrees for variance, degrees in parts)
    error = math.sqrt(factor * total)
    reach = float(student.isf((1 - level) / 2, freedom)) * error
    p = float(2 * student.sf(abs(difference) / error, freedom))
    return PairedDifference(difference, difference - reach, difference + reach, p)


def between_splits(first: Sequence[Floats], second: Sequence[Floats]) -> float:
    """Variance of the mean difference from split to split; 0 with a single split.

    Args:
        first: per split [E, R, N], as for `nested_difference`.
        second: the same of the other feature set.
    """
    means = [float(a.mean() - b.mean()) for a, b in zip(first, second, strict=True)]
    return float(np.var(means, ddof=1)) if len(means) > 1 else 0.0


def _variances(
    by_encoder: Sequence[Floats], means: Floats, clusters: Sequence[Ints | None], between: float
) -> list[tuple[float, float]]:
    """Parts of the variance of one split's mean, each with its degrees of freedom."""
    splits, encoders = len(by_encoder), len(by_encoder[0])
    rows = [values.mean(0) for values in by_encoder]  # per split [N]
    counts = [independent_rows(values, own) for values, own in zip(rows, clusters, strict=True)]
    over_rows = float(np.mean([values.var(ddof=1) / count for values, count in zip(rows, counts, strict=True)]))
    parts = [(over_rows, sum(max(count - 1, 1.0) for count in counts))]
    if encoders > 1:
        over_encoders = float(np.mean([values.mean(1).var(ddof=1) for values in by_encoder]))
        parts.append((over_encoders / encoders, float(splits * (encoders - 1))))
    if splits > 1:
        within, found = sum(variance for variance, _ in parts), float(means.var(ddof=1))
        # Answers that are equal, or differ alike on all rows, have no spread, whatever others have.
        least = max(within, between) if within or found else 0.0
        parts += [(found, splits - 1.0), (max(0.0, least - found), math.inf)]
    return parts
