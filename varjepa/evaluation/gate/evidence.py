"""What the promotion gate looks at: plain arrays and facts of one model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from varjepa.config.operations import GateSection
from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.gate.paired_tests import Pairs

Metric = Literal["accuracy", "log_loss", "squared_error", "elbo"]


class Unit(NamedTuple):
    """How a metric is spoken of.

    Attributes:
        word: its name.
        margin: the one that is taken where the configuration gives none.
        sign: goodness times this is the metric.
        relative: whether the margin is a share of the champion's value.
        bound: the largest difference between two models in a row; None where there is no bound.
    """

    word: str
    margin: float
    sign: int
    relative: bool = False
    bound: float | None = None

    def tolerance(self, section: GateSection, champion: Floats) -> float:
        """How much worse the mean may be than that of the champion's goodness [N]."""
        margin = self.margin if section.margin is None else section.margin
        return margin * abs(float(champion.mean())) if self.relative else margin


UNITS: dict[Metric, Unit] = {
    "accuracy": Unit("accuracy", 0.01, 1, bound=1.0),
    "log_loss": Unit("log loss", 0.02, -1),
    "squared_error": Unit("squared error", 0.05, -1, relative=True),
    "elbo": Unit("ELBO", 0.02, 1),
}


class Compared(NamedTuple):
    """Values of challenger and champion on the same rows, higher is better.

    Attributes:
        pairs: their differences.
        ours: of the challenger [n].
        theirs: of the champion [n].
    """

    pairs: Pairs
    ours: Floats
    theirs: Floats

    @property
    def lost(self) -> float:
        """How much worse the challenger is on average."""
        return -self.pairs.mean

    def of(self, rows: Bools) -> "Compared":
        """Those of some rows."""
        return Compared(self.pairs.of(rows), self.ours[rows], self.theirs[rows])

    def weighted(self, weights: Floats) -> "Compared":
        """Values times weights [n] of mean 1; without weights, answers are right or wrong."""
        pairs = Pairs(weights * self.pairs.differences, self.pairs.clusters, float(weights.max()))
        return Compared(pairs, weights * self.ours, weights * self.theirs)


@dataclass(frozen=True)
class Evidence:
    """What one model does on the test rows, and what it is.

    Attributes:
        goodness: [N] in the metric, higher is better; None where the model has none.
        confidence: [N], probability given to the predicted class; None without classes.
        correct: [N], whether the prediction is right; None without classes.
        uncertainty: [N], the one that ships, larger = less sure; None where there is no decision to abstain from.
        accepted: [N], by the certificate; None without one.
        accepted_error: standard deviation of the share that the certificate accepts, over draws of calibration rows.
        covered: [N], whether the interval of a number holds the label; None for classes, and without intervals.
        promised: share of labels that intervals are to hold.
        structure: [n], log-probability of a cell given the others of its row (mean over cells, nats, higher is better)
            of the first n rows; None without a generator.
        active_units: dimensions of the embedding that vary over rows.
        dimensions: of the embedding.
        rankme: its effective rank.
        milliseconds: per row, timed in turns with the other model.
        inputs: columns that it asks for, and their kinds.
        outputs: names of what it gives for a row.
        label: what it predicts, in words; empty without a label.
        classes: that it can predict.
        clusters: int64 [N], rows with the same number depend on each other, such as those of a customer; None where
            rows are independent.
    """

    goodness: Floats | None
    confidence: Floats | None = None
    correct: Bools | None = None
    uncertainty: Floats | None = None
    accepted: Bools | None = None
    accepted_error: float = 0.0
    covered: Bools | None = None
    promised: float = 0.0
    structure: Floats | None = None
    active_units: int = 0
    dimensions: int = 0
    rankme: float = 0.0
    milliseconds: float = 0.0
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    label: str = ""
    classes: tuple[str, ...] = ()
    clusters: Ints | None = None

    def compared(self, ours: Floats, theirs: Floats, bound: float | None = None) -> Compared:
        """Values of this model on the first rows [n], and those of the other [n]."""
        clusters = None if self.clusters is None else self.clusters[: len(ours)]
        return Compared(Pairs(ours - theirs, clusters, bound), ours, theirs)
