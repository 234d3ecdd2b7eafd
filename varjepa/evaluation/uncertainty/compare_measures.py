"""Compares uncertainty measures of one classifier on the same rows, and picks the one that ships."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from varjepa.config.heads import MEASURE
from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.auroc import auroc
from varjepa.evaluation.bootstrap import bootstrap_rows, difference_interval
from varjepa.evaluation.uncertainty.selective import selective_metrics, surest

BASELINE: MEASURE = "max_probability"
RESAMPLES = 1000
IN_THE_TAIL = 20
"""Resamples that lie beyond an end of an interval that decides, so that its end does not depend on their seed."""

IN_CACHE = 60_000
"""Counts of rows that are worked on together."""


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
        interval = difference_interval(resampled[name] - resampled[BASELINE], level, len(error), clusters)
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
    # Rows from the surest, and the last one of each of T different uncertainties: nothing is sorted again.
    orders = [np.argsort(values, kind="stable") for values in measures.values()]
    lasts = [
        np.flatnonzero(np.diff(values[order], append=np.nan) != 0)
        for values, order in zip(measures.values(), orders, strict=True)
    ]

    def areas(counts: Ints) -> Floats:  # [S, N] -> [S, M]
        most = int(counts.sum(1).max())
        harmonic = np.append(0.0, np.cumsum(1 / np.arange(1, most + 1)))  # 1 + 1/2 + ... + 1/n, from n = 0
        # In portions that fit into a core's cache.
        portions = np.array_split(counts, math.ceil(counts.size / IN_CACHE))
        found = [
            np.concatenate([_areas(np.take(rows, order, axis=1), error[order], last, harmonic) for rows in portions])
            for order, last in zip(orders, lasts, strict=True)
        ]
        return np.stack(found, axis=1)

    drawn = bootstrap_rows(len(error), areas, resamples=resamples, seed=seed, clusters=clusters)
    return dict(zip(measures, drawn.T, strict=True))


def _areas(drawn: Ints, error: Bools, last: Ints, harmonic: Floats) -> Floats:
    """AURC of S resamples [S].

    Args:
        drawn: how often each row was drawn [S, N], from the surest.
        error: whether it is predicted wrongly [N].
        last: number of the last row of each of T ties [T].
        harmonic: 1 + 1/2 + ... + 1/n for each n from 0.
    """
    end, wrong = drawn.cumsum(1), (drawn * error).cumsum(1)  # [S, N]
    if len(last) < len(error):
        end, wrong = end[:, last], wrong[:, last]  # [S, T], rows and errors up to each tie
    before, wrong_before = _shifted(end), _shifted(wrong)
    rows = end - before  # [S, T] per tie
    share = (wrong - wrong_before) / np.maximum(rows, 1)  # [S, T], mean risk of a tie
    # Within a tie, the risk behind its j-th row is (errors so far + j share) / (rows so far + j): summed over j,
    # share for each row, and what was different before, spread over 1 / (rows so far + j).
    earlier = wrong_before - share * before  # [S, T]
    reached = harmonic[end]  # [S, T]
    spread = reached - _shifted(reached)  # [S, T], sum of 1 / (rows so far + j) over a tie
    return (wrong[:, -1] + np.einsum("st,st->s", earlier, spread)) / end[:, -1]


def _shifted(values: NDArray[Any]) -> NDArray[Any]:
    """Each column moved one to the right, zeros in the first, [S, T]."""
    shifted = np.zeros_like(values)
    shifted[:, 1:] = values[:, :-1]
    return shifted


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
