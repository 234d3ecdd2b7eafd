"""Compares uncertainty measures of one classifier on the same rows, and picks the one that ships."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from varjepa.config.heads import MEASURE
from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.auroc import auroc
from varjepa.evaluation.bootstrap import bootstrap_rows, percentile_interval
from varjepa.evaluation.uncertainty.selective import selective_metrics

BASELINE: MEASURE = "max_probability"
RESAMPLES = 1000


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
    measures: Mapping[MEASURE, Floats], error: Bools, *, level: float = 0.95, seed: int = 0
) -> dict[MEASURE, Comparison]:
    """Every measure beside maximum probability, on the same resamples of rows.

    Args:
        measures: name -> uncertainty [N], larger = less sure; `max_probability` among them.
        error: whether the rows are predicted wrongly [N].
        level: of the intervals, in (0, 1).
        seed: of the resamples.
    """
    resampled = resampled_aurc(measures, error, seed=seed)
    compared, base = {}, selective_metrics(measures[BASELINE], error)["aurc"]
    for name, values in measures.items():
        metrics = selective_metrics(values, error)
        constant = np.ptp(values) == 0 or error.all() or not error.any()  # there is no correlation with a constant
        metrics["spearman"] = float("nan") if constant else float(spearmanr(values, error).statistic)
        interval = percentile_interval(resampled[name] - resampled[BASELINE], level)
        compared[name] = Comparison(metrics, metrics["aurc"] - base, *interval)
    return compared


def resampled_aurc(
    measures: Mapping[MEASURE, Floats], error: Bools, *, seed: int, resamples: int = RESAMPLES
) -> dict[MEASURE, Floats]:
    """AURC of each of M measures on the same bootstrap resamples of rows, [resamples] each."""
    orders = [np.argsort(values, kind="stable") for values in measures.values()]

    def areas(picks: Ints) -> Floats:  # [S, N] -> [S, M]
        return np.array([_areas(orders, error, rows) for rows in picks])

    return dict(zip(measures, bootstrap_rows(len(error), areas, resamples=resamples, seed=seed).T, strict=True))


def _areas(orders: Sequence[Ints], error: Bools, picks: Ints) -> list[float]:
    """AURC by each order of the N rows, on one resample of them [N]."""
    # How often each row was drawn: a resample keeps the order of a measure, so nothing is sorted again.
    counts = np.bincount(picks, minlength=len(error))  # [N]
    wrong, areas = counts * error, []
    for order in orders:
        drawn = counts[order]  # [N], surest row first
        risk = wrong[order].cumsum() / np.maximum(drawn.cumsum(), 1)  # 0 / 1 before the first row that was drawn
        # Copies of a row stand at one coverage: each adds the risk behind the last of them.
        areas.append(float(drawn @ risk) / len(error))
    return areas


def choose(compared: Mapping[MEASURE, Comparison]) -> tuple[MEASURE, str]:
    """The measure to ship, and why: maximum probability unless another one is better beyond doubt.

    Args:
        compared: on validation rows, with intervals at a level that allows for their number (see `family_level`).
    """
    better = {name: comparison for name, comparison in compared.items() if comparison.high < 0}
    if not better:
        return BASELINE, "no other measure ranks the errors of the validation rows better beyond doubt"
    name = min(better, key=lambda name: better[name].difference)
    best = better[name]
    return name, (
        f"its AURC on the validation rows is {-best.difference:.4f} below that of maximum probability "
        f"({best.low:.4f} to {best.high:.4f})"
    )


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
        classes: true class numbers [N].
        names: of the classes.
        coverage: share of rows kept, in (0, 1].
    """
    kept = uncertainty <= np.quantile(uncertainty, coverage)
    return {name: float(kept[classes == k].mean()) for k, name in enumerate(names) if (classes == k).any()}
