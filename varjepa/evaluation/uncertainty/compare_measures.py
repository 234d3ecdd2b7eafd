"""Compares uncertainty measures of one classifier on the same rows, and picks the one that ships."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from varjepa.config.heads import MEASURE
from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.auroc import auroc
from varjepa.evaluation.bootstrap import bootstrap_rows, percentile_interval
from varjepa.evaluation.uncertainty.selective import selective_metrics, surest

BASELINE: MEASURE = "max_probability"
RESAMPLES = 1000
IN_THE_TAIL = 20
"""Resamples that lie beyond an end of an interval that decides, so that its end does not depend on their seed."""


class Comparison(NamedTuple):
    """One measure against maximum probability.

    Attributes:
        metrics: of `selective_metrics`, with `spearman`: the rank correlation with errors.
        difference: its AURC minus that of maximum probability; below 0 is better.
        low: lower end of the paired bootstrap interval of the difference.
        high: upper end.
    """

    metrics: dict[str, float]
    difference: float
    low: float
    high: float


def compare(
    measures: Mapping[MEASURE, Floats],
    error: Bools,
    *,
    level: float = 0.95,
    seed: int = 0,
    clusters: Ints | None = None,
    resamples: int = RESAMPLES,
) -> dict[MEASURE, Comparison]:
    """Every measure beside maximum probability, on the same resamples of rows.

    Args:
        measures: name -> uncertainty [N], larger = less sure; `max_probability` among them.
        error: whether the rows are predicted wrongly [N].
        level: of the intervals, in (0, 1).
        seed: of the resamples.
        clusters: number of each row's cluster [N], from 0, which are resampled; None resamples rows.
        resamples: number of resamples.
    """
    from scipy.stats import spearmanr

    resampled = resampled_aurc(measures, error, seed=seed, clusters=clusters, resamples=resamples)
    compared, base = {}, selective_metrics(measures[BASELINE], error)["aurc"]
    for name, values in measures.items():
        metrics = selective_metrics(values, error)
        constant = np.ptp(values) == 0 or error.all() or not error.any()  # there is no correlation with a constant
        metrics["spearman"] = float("nan") if constant else float(spearmanr(values, error).statistic)
        interval = percentile_interval(resampled[name] - resampled[BASELINE], level)
        compared[name] = Comparison(metrics, metrics["aurc"] - base, *interval)
    return compared


def resampled_aurc(
    measures: Mapping[MEASURE, Floats],
    error: Bools,
    *,
    seed: int,
    clusters: Ints | None = None,
    resamples: int = RESAMPLES,
) -> dict[MEASURE, Floats]:
    """AURC of each of M measures on the same bootstrap resamples of rows or clusters, [resamples] each.

    Each is that of `selective.risk_coverage` on the rows of the resample: rows of equal uncertainty, copies of a row
    among them, share their mean risk, so that the order of the rows in a file says nothing.
    """
    # Number of each row's uncertainty among the different ones, from the surest: nothing is sorted again.
    ranks = [np.unique(values, return_inverse=True)[1] for values in measures.values()]

    def areas(counts: Ints) -> Floats:  # [S, N] -> [S, M]
        most = int(counts.sum(1).max())
        harmonic = np.append(0.0, np.cumsum(1 / np.arange(1, most + 1)))  # 1 + 1/2 + ... + 1/n, from n = 0
        return np.array([[_area(rank, row, row * error, harmonic) for rank in ranks] for row in counts])

    drawn = bootstrap_rows(len(error), areas, resamples=resamples, seed=seed, clusters=clusters)
    return dict(zip(measures, drawn.T, strict=True))


def _area(rank: Ints, drawn: Ints, wrong: Ints, harmonic: Floats) -> float:
    """AURC of rows of which each was drawn so often [N], and so often wrongly predicted [N]."""
    rows, errors = np.bincount(rank, drawn), np.bincount(rank, wrong)  # [T] per tie
    end = rows.cumsum()  # [T], rows up to each tie
    share = errors / np.maximum(rows, 1)  # [T], mean risk of a tie
    # Within a tie, the risk behind its j-th row is (errors so far + j share) / (rows so far + j): summed over j,
    # share for each row, and what was different before, spread over 1 / (rows so far + j).
    earlier = errors.cumsum() - errors - share * (end - rows)  # [T]
    reached = harmonic[end.astype(np.int64)]  # [T]
    spread = np.diff(reached, prepend=0.0)  # [T], sum of 1 / (rows so far + j) over a tie
    return float((errors.sum() + earlier @ spread) / end[-1])


def choose(
    measures: Mapping[MEASURE, Floats],
    error: Bools,
    *,
    level: float = 0.95,
    seed: int = 0,
    clusters: Ints | None = None,
) -> tuple[MEASURE, str]:
    """The measure to ship, and why: maximum probability unless another one is better beyond doubt.

    Args:
        measures: name -> uncertainty of validation rows [N]; `max_probability` among them.
        error: whether the rows are predicted wrongly [N].
        level: chance at least that maximum probability is kept if no measure is better.
        seed: of the resamples.
        clusters: number of each row's cluster [N], from 0; None where every row is independent.
    """
    each = family_level(len(measures), level)
    areas = {name: selective_metrics(values, error)["aurc"] for name, values in measures.items()}
    better = {name: values for name, values in measures.items() if areas[name] < areas[BASELINE]}
    # Only what is better at the level of a single test can be better at that of all, which takes far more resamples.
    found: dict[MEASURE, Comparison] = {}
    for at, resamples in ((level, RESAMPLES), (each, math.ceil(IN_THE_TAIL / ((1 - each) / 2)))):
        if better:
            tried = {BASELINE: measures[BASELINE]} | better
            found = _better(compare(tried, error, level=at, seed=seed, clusters=clusters, resamples=resamples))
            better = {name: measures[name] for name in found}
    if not better:
        return BASELINE, "no other measure ranks the errors of the validation rows better beyond doubt"
    name = min(found, key=lambda name: found[name].difference)
    best = found[name]
    return name, (
        f"its AURC on the validation rows is {-best.difference:.4f} below that of maximum probability "
        f"({best.low:.4f} to {best.high:.4f})"
    )


def _better(compared: Mapping[MEASURE, Comparison]) -> dict[MEASURE, Comparison]:
    """Measures that are better than maximum probability, here and in nearly all resamples."""
    return {name: found for name, found in compared.items() if found.difference < 0 and found.high < 0}


def family_level(measures: int, level: float = 0.95) -> float:
    """Level of each of several intervals that all hold at `level` together (Bonferroni).

    Examples:
        >>> round(family_level(11), 3)
        0.995
    """
    return 1 - (1 - level) / max(measures - 1, 1)


def against_truth(measures: Mapping[MEASURE, Floats], ambiguity: Floats, *, share: float = 0.1) -> dict[str, float]:
    """How each measure goes with a known ambiguity of the rows (Figure 3 of the paper).

    Args:
        measures: name -> uncertainty [N].
        ambiguity: known ambiguity [N]; larger = harder.
        share: of the rows that count as the most ambiguous ones.

    Returns:
        `MEASURE_spearman`, and `MEASURE_auc`: AUROC of finding the most ambiguous rows.
    """
    from scipy.stats import spearmanr

    most_ambiguous, metrics = ambiguity >= np.quantile(ambiguity, 1 - share), {}
    for name, values in measures.items():
        metrics[f"{name}_spearman"] = float(spearmanr(values, ambiguity).statistic)
        metrics[f"{name}_auc"] = auroc(values, most_ambiguous)
    return metrics


def class_coverage(
    uncertainty: Floats, classes: Ints, names: Sequence[str], *, coverage: float = 0.8
) -> dict[str, float]:
    """Share of each class among the rows that are kept when the surest `coverage` of all rows are.

    Args:
        uncertainty: [N].
        classes: true class numbers [N]; others than those of `names` are left out.
        names: of the classes.
        coverage: share of rows kept, in (0, 1].
    """
    kept = surest(uncertainty, coverage)
    return {name: float(kept[classes == k].mean()) for k, name in enumerate(names) if (classes == k).any()}
