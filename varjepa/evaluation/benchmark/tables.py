"""The benchmark's tables: ours beside the published figures, and feature sets against each other."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import mean, stdev
from typing import Any, Literal, NamedTuple

from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.holm import holm
from varjepa.evaluation.uncertainty.nested_difference import between_splits, nested_difference
from varjepa.evaluation.uncertainty.paired_bootstrap import PairedDifference

RIVALS = (
    ("var_t_jepa", "t_jepa"), ("var_t_jepa", "untrained"), ("var_t_jepa", "raw"), ("t_jepa", "untrained"),
    ("t_jepa", "raw"),
)  # fmt: skip
"""Feature sets that are compared row by row: is the first better than the second?"""

FALSE_OUTCOMES = 0.05
"""Chance that any duel of a report is called won or lost where no feature set is better than another."""

USUAL_RATIO = 2 / 7
"""Test rows over training rows of the benchmark's split."""

SELECTIVE = ("accuracy_90", "accuracy_80", "accuracy_50")

CellKey = tuple[str, str, str]
"""(dataset, features, predictor)."""

Outcome = Literal["win", "tie", "loss"]


class Row(NamedTuple):
    """One metric of one cell.

    Attributes:
        dataset: name.
        features: feature set.
        predictor: name.
        metric: as in `metrics` of a cell.
        mean: over splits, encoders and seeds of the predictor.
        sd: standard deviation over all of them; None for a single value.
        seeds: how many values; fewer than runs where the metric is undefined in some.
        published: the paper's mean where it has one.
    """

    dataset: str
    features: str
    predictor: str
    metric: str
    mean: float
    sd: float | None
    seeds: int
    published: float | None


class Duel(NamedTuple):
    """Two feature sets under one predictor, on the same rows.

    Attributes:
        dataset: name.
        predictor: name.
        features: the first feature set.
        rival: the second.
        difference: of accuracies (of R2, for values); positive where the first is better.
            Its interval and p-value are those of this duel alone.
        adjusted: p-value after Holm's correction for all duels of the report.
        outcome: of the first set, by the adjusted p-value.
    """

    dataset: str
    predictor: str
    features: str
    rival: str
    difference: PairedDifference
    adjusted: float
    outcome: Outcome

    def as_dict(self) -> dict[str, Any]:
        """Plain data, the difference spread out."""
        return self._asdict() | self.difference._asdict()


def table_rows(
    metrics: Mapping[CellKey, Mapping[str, Sequence[float]]], published: Mapping[tuple[str, str, str, str], float]
) -> list[Row]:
    """Every metric of every cell, in the order of the cells.

    Runs in which a metric is undefined, as that of how errors are found is without errors, do not count for it.

    Args:
        metrics: cell -> metric -> one value per seed.
        published: (dataset, features, predictor, metric) -> the paper's figure.
    """
    return [
        Row(*key, name, mean(known), stdev(known) if len(known) > 1 else None, len(known), published.get((*key, name)))
        for key, cell in metrics.items()
        for name, values in cell.items()
        if (known := [value for value in values if math.isfinite(value)])
    ]


def duels(
    goodness: Mapping[CellKey, Sequence[Floats]], seed: int = 0, *, ratios: Mapping[str, float] | None = None,
    resamples: int = 2000, clusters: Mapping[str, Sequence[Ints | None]] | None = None,
) -> list[Duel]:  # fmt: skip
    """Compares feature sets on their test rows, over all splits and encoders; see `nested_difference`.

    Three splits say little about how much splits matter to one duel. All duels of the data set say more: their mean
    variance between splits counts at least. Where no set is better than another, the chance that any duel is won or
    lost is `FALSE_OUTCOMES` at most.

    Args:
        goodness: cell -> per split [E, R, N], per encoder, seed of the predictor and test row; larger = better, such as
            1 where the prediction is right.
        seed: of the bootstrap.
        ratios: data set -> test rows over training rows; `USUAL_RATIO` where there is none.
        resamples: of the bootstrap, for the intervals.
        clusters: data set -> clusters of its test rows, per split; see `nested_difference`.
    """
    pairs = list(_pairs(goodness))
    spreads: dict[str, list[float]] = {}  # data set -> of each of its duels, the variance between splits
    for (dataset, *_), first, second in pairs:
        spreads.setdefault(dataset, []).append(between_splits(first, second))
    differences = [
        nested_difference(
            first, second, ratio=(ratios or {}).get(names[0], USUAL_RATIO), between=mean(spreads[names[0]]),
            clusters=(clusters or {}).get(names[0]), resamples=resamples, seed=seed,
        )
        for names, first, second in pairs
    ]  # fmt: skip
    adjusted = holm([difference.p for difference in differences])
    return [
        Duel(*names, difference, p, outcome(difference.difference, p))
        for (names, *_), difference, p in zip(pairs, differences, adjusted, strict=True)
    ]


def _pairs(
    goodness: Mapping[CellKey, Sequence[Floats]],
) -> Iterator[tuple[tuple[str, str, str, str], Sequence[Floats], Sequence[Floats]]]:
    """Names of a duel (data set, predictor, features, rival), and the goodness of both sets."""
    # In the order of the cells, each pair of data set and predictor once.
    for dataset, predictor in dict.fromkeys((dataset, predictor) for dataset, _, predictor in goodness):
        for features, rival in RIVALS:
            first, second = (goodness.get((dataset, name, predictor)) for name in (features, rival))
            if first is not None and second is not None:  # a feature set may not be in this benchmark
                yield (dataset, predictor, features, rival), first, second


def outcome(difference: float, adjusted: float) -> Outcome:
    """What a duel is called: a tie, unless its adjusted p-value is at most `FALSE_OUTCOMES`.

    Args:
        difference: positive where the first set is better.
        adjusted: p-value, corrected for all duels.
    """
    if adjusted > FALSE_OUTCOMES:
        return "tie"
    return "win" if difference > 0 else "loss"


def tally(compared: Iterable[Duel]) -> dict[tuple[str, str], dict[str, int]]:
    """(features, rival) -> how many wins, ties and losses."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for duel in compared:
        count = counts.setdefault((duel.features, duel.rival), {"win": 0, "tie": 0, "loss": 0, "at or above": 0})
        count[duel.outcome] += 1
        count["at or above"] += duel.difference.difference >= 0
    return counts
