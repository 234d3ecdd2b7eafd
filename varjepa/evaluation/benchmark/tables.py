"""The benchmark's tables: ours beside the published figures, and feature sets against each other."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.uncertainty.paired_bootstrap import PairedDifference, paired_bootstrap

RIVALS = (("var_t_jepa", "t_jepa"), ("var_t_jepa", "raw"), ("t_jepa", "raw"))
"""Feature sets that are compared row by row: is the first better than the second?"""

SELECTIVE = ("accuracy_90", "accuracy_80", "accuracy_50")

CellKey = tuple[str, str, str]
"""(dataset, features, predictor)."""


class Row(NamedTuple):
    """One metric of one cell.

    Attributes:
        dataset: name.
        features: feature set.
        predictor: name.
        metric: as in `metrics` of a cell.
        mean: over seeds.
        sd: standard deviation over seeds; None for a single one.
        seeds: how many.
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
        difference: of accuracies (of squared errors, changed in sign, for values); positive where the first is better.
    """

    dataset: str
    predictor: str
    features: str
    rival: str
    difference: PairedDifference

    def as_dict(self) -> dict[str, Any]:
        """Plain data, the difference spread out."""
        return self._asdict() | self.difference._asdict()


def table_rows(
    metrics: Mapping[CellKey, Mapping[str, Sequence[float]]], published: Mapping[tuple[str, str, str, str], float]
) -> list[Row]:
    """Every metric of every cell, in the order of the cells.

    Args:
        metrics: cell -> metric -> one value per seed.
        published: (dataset, features, predictor, metric) -> the paper's figure.
    """
    return [
        Row(*key, name, mean(values), stdev(values) if len(values) > 1 else None, len(values),
            published.get((*key, name)))
        for key, cell in metrics.items()
        for name, values in cell.items()
    ]  # fmt: skip


def duels(goodness: Mapping[CellKey, Floats], seed: int = 0) -> list[Duel]:
    """Compares feature sets by a paired bootstrap over test rows.

    Args:
        goodness: cell -> [R, N], per seed and test row; larger = better, such as 1 where the prediction is right.
        seed: of the bootstrap.
    """
    compared = []
    # In the order of the cells, each pair of data set and predictor once.
    for dataset, predictor in dict.fromkeys((dataset, predictor) for dataset, _, predictor in goodness):
        for features, rival in RIVALS:
            first, second = (goodness.get((dataset, name, predictor)) for name in (features, rival))
            if first is not None and second is not None:  # a feature set may not be in this benchmark
                difference = paired_bootstrap(first, second, higher_is_better=True, seed=seed)
                compared.append(Duel(dataset, predictor, features, rival, difference))
    return compared


def tally(compared: Iterable[Duel]) -> dict[tuple[str, str], dict[str, int]]:
    """(features, rival) -> how many wins, ties and losses; a tie is an interval that holds 0."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for duel in compared:
        count = counts.setdefault((duel.features, duel.rival), {"win": 0, "tie": 0, "loss": 0, "at or above": 0})
        count[duel.difference.outcome] += 1
        count["at or above"] += duel.difference.difference >= 0
    return counts
