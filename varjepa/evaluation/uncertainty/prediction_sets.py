"""Prediction sets: the classes that a row may have, with a promise for all rows and for the rows of each class."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from varjepa.config.base import Facts
from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.uncertainty.class_scores import CANDIDATES, SCORE, ClassScore, of_labels
from varjepa.evaluation.uncertainty.conformal import conformal_threshold, fewest_rows, halves, largest_cluster
from varjepa.evaluation.uncertainty.metrics import Classified
from varjepa.evaluation.uncertainty.set_metrics import mean_over, set_metrics

CLASS_ROWS = 50
"""A class has a threshold of its own from this many calibration rows on."""

SPLITS = 10
"""Random halves of the validation rows that choose the score."""

LARGER, HIGHER = 1.05, 0.01
"""Another score than the first replaces it if sizes cover this much more evenly, with sets at most this much larger."""

Basis = Literal["class", "rare", "all"]
"""The rows behind a class's threshold: its own, those of all rare classes, or all rows."""


class SetRule(Facts):
    """How prediction sets are made, and what is promised of them.

    Attributes:
        score: name of the score (see `class_scores`).
        penalty: of raps.
        free: ranks without a penalty.
        level: share of rows whose set holds their class, promised for the rows of every class that `basis` says so of.
        thresholds: largest score of each class in a set; None where rows are too few, so that every set has the class.
        basis: the rows behind each threshold.
        class_rows: calibration rows of each class.
        rows: number of calibration rows.
        reason: of the choice of the score.
    """

    score: SCORE
    penalty: float = 0.0
    free: int = 1
    level: float
    thresholds: tuple[float | None, ...]
    basis: tuple[Basis, ...]
    class_rows: tuple[int, ...]
    rows: int
    reason: str

    def sets(self, probabilities: Floats) -> Bools:
        """Whether each class is in a row's set [N, C], from calibrated probabilities [N, C]; no set is empty."""
        limits = np.array([np.inf if threshold is None else threshold for threshold in self.thresholds])
        return _sets(ClassScore(self.score, self.penalty, self.free), probabilities, limits)

    def promise(self, classes: Sequence[str]) -> str:
        """What is promised, in words."""
        own = [name for name, basis in zip(classes, self.basis, strict=True) if basis == "class"]
        which = "each class" if len(own) == len(classes) else f"{len(own)} of {len(classes)} classes"
        others = "; rarer classes share a threshold" if len(own) < len(classes) else ""
        return f"sets hold the class in at least {100 * self.level:g}% of the rows of {which}{others}; {self.reason}"


class LabelledRows(NamedTuple):
    """Probabilities and classes of some rows.

    Attributes:
        probabilities: calibrated, [N, C].
        labels: class numbers [N]; C for a class that training has not seen.
        clusters: number of each row's cluster [N], from 0; None where rows are independent.
    """

    probabilities: Floats
    labels: Ints
    clusters: Ints | None = None

    def of(self, rows: Bools) -> "LabelledRows":
        """Some of the rows."""
        return LabelledRows(
            self.probabilities[rows], self.labels[rows], None if self.clusters is None else self.clusters[rows]
        )

    @property
    def can_be_halved(self) -> bool:
        """Whether both halves have rows, and enough of them to set thresholds."""
        clusters = self.clusters
        return len(self.labels) >= 2 * CLASS_ROWS and (clusters is None or bool((clusters != clusters[0]).any()))

    @property
    def classified(self) -> Classified:
        """Without the clusters."""
        return Classified.of(self.probabilities, self.labels)


def fit_sets(validation: LabelledRows, calibration: LabelledRows, level: float, *, seed: int = 0) -> SetRule:
    """Chooses the score on validation rows, and the thresholds on calibration rows.

    A class of at least `CLASS_ROWS` calibration rows has its own threshold, so the promise holds for its rows. All
    others share one, which promises for their rows together; where even these are too few, it is that of all rows, and
    no class has a smaller one: so the promise holds for all rows together.

    Args:
        validation: rows that choose; may be none.
        calibration: rows that nothing else has looked at.
        level: share of rows whose set is to hold their class, in (0, 1).
        seed: of the halves of the validation rows.
    """
    largest = largest_cluster(validation.clusters, calibration.clusters)
    score, reason = choose_score(validation, level, largest, seed)
    thresholds, basis = _thresholds(score, calibration, level, largest)
    rows = np.bincount(calibration.labels, minlength=calibration.probabilities.shape[1])
    return SetRule(
        score=score.name, penalty=score.penalty, free=score.free, level=level,
        thresholds=tuple(None if np.isinf(limit) else float(limit) for limit in thresholds), basis=basis,
        class_rows=tuple(rows[: len(basis)].tolist()), rows=len(calibration.labels), reason=reason,
    )  # fmt: skip


def choose_score(rows: LabelledRows, level: float, largest: int, seed: int) -> tuple[ClassScore, str]:
    """The score whose sets cover all sizes most evenly, and why; the first one unless another is better beyond doubt.

    Args:
        rows: which are halved at random, time and again: one half sets thresholds, the other one measures.
        level: of the sets.
        largest: rows of the largest cluster.
        seed: of the halves.
    """
    first = CANDIDATES[0]
    if rows.probabilities.shape[1] < 3:
        return first, f"{first.name}, as all scores rank two classes alike"
    if not rows.can_be_halved:
        return first, f"{first.name}, as validation rows are too few to choose"
    means = {score: cross_fitted(score, rows, level, largest, seed) for score in CANDIDATES}
    small = [score for score in CANDIDATES if means[score]["size"] <= LARGER * means[first]["size"]]
    best = max(small, key=lambda score: means[score]["sscs"])
    if means[best]["sscs"] < means[first]["sscs"] + HIGHER:
        best = first
    values = f"smallest coverage of sets of a size {means[best]['sscs']:.3f}, mean size {means[best]['size']:.2f}"
    return best, f"{best.name} on validation rows: {values}"


def cross_fitted(score: ClassScore, rows: LabelledRows, level: float, largest: int, seed: int) -> dict[str, float]:
    """Mean metrics of a score's sets on random halves of the rows that did not set their thresholds.

    Args:
        score: of the sets.
        rows: which are halved.
        level: of the sets, in (0, 1).
        largest: rows of the largest cluster.
        seed: of the halves; models that share it are compared on the same halves.
    """
    rng, metrics = np.random.default_rng([seed, 51]), []
    for _ in range(SPLITS):
        half = halves(len(rows.labels), rows.clusters, rng)
        for part, other in ((half, ~half), (~half, half)):
            limits, _basis = _thresholds(score, rows.of(part), level, largest)
            metrics.append(set_metrics(_sets(score, rows.probabilities[other], limits), rows.labels[other]))
    return {name: float(values.mean()) for name, values in mean_over(metrics).items()}


def _sets(score: ClassScore, probabilities: Floats, limits: Floats) -> Bools:
    """Classes [N, C] whose score is within their limit [C]; where there is none, the most probable one.

    A classifier that is right more often than the level could leave out some of its answers and still keep the promise.
    Nobody is served by an empty set, so the promise is then kept with room to spare.
    """
    sets = score(probabilities) <= limits
    empty = np.flatnonzero(~sets.any(1))
    sets[empty, probabilities[empty].argmax(1)] = True
    return sets


def _thresholds(score: ClassScore, rows: LabelledRows, level: float, largest: int) -> tuple[Floats, tuple[Basis, ...]]:
    """The largest score of each class [C], and the rows behind it."""
    own, n_classes = of_labels(score(rows.probabilities), rows.labels), rows.probabilities.shape[1]
    counts = np.bincount(rows.labels, minlength=n_classes + 1)[:n_classes]
    needed = max(CLASS_ROWS, fewest_rows(level, largest))
    rare = counts < needed
    together = rare[np.minimum(rows.labels, n_classes - 1)] & (rows.labels < n_classes)  # [N]
    shared: Basis = "rare" if together.sum() >= needed else "all"
    limits = np.full(n_classes, conformal_threshold(own[together] if shared == "rare" else own, level, largest))
    for number in np.flatnonzero(~rare):
        limit = conformal_threshold(own[rows.labels == number], level, largest)
        # The threshold of all rows holds the classes of enough rows only where no class has a smaller one: rare classes
        # miss more often, and others, which are easier, would no longer make up for that.
        limits[number] = max(limit, limits[number]) if shared == "all" and together.any() else limit
    return limits, tuple(shared if few else "class" for few in rare)
