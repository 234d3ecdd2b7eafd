"""What a predictor is fitted to, and what it gives back."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from varjepa.evaluation.benchmark.predictors.inputs import SMALLEST_SPREAD

Score = tuple[float, float]
"""How wrong a run is on the validation rows, smaller is better: error rate (values: loss), then loss.

NOTE[DIFF] by which of the two is not published. On a small table the loss is lowest long before the accuracy is best;
later networks are right more often, and too sure of it.
"""

Drawn = dict[str, float]
"""Settings of one trial that differ from the first trial's, by name."""


class Labels(NamedTuple):
    """How labels and outputs are turned into each other.

    Attributes:
        n_classes: C, or 0 for regression.
        center: mean of the values of training rows (regression).
        spread: their deviation, > 0.
    """

    n_classes: int
    center: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, y: Tensor, n_classes: int) -> Self:
        """Learns the unit of the values `y` [N]; classes have none."""
        if n_classes:
            return cls(n_classes)
        values = y.double()  # 32 bits lose the spread of large values
        return cls(0, float(values.mean()), max(float(values.std(correction=0)), SMALLEST_SPREAD))

    def encode(self, y: Tensor) -> Tensor:
        """Class numbers int64 [N], or standardised values float32 [N]."""
        return y.long() if self.n_classes else ((y.double() - self.center) / self.spread).float()

    def decode(self, outputs: Tensor) -> Tensor:
        """Logits to probabilities, or standardised values to those in the label's units."""
        return outputs.softmax(-1) if self.n_classes else self.in_units(outputs)

    def in_units(self, outputs: Tensor) -> Tensor:
        """Probabilities as they are, or standardised values in the label's units."""
        return outputs if self.n_classes else outputs * self.spread + self.center


class Problem(NamedTuple):
    """Rows and labels of a fit.

    Attributes:
        train: `Inputs`, or a pandas frame for predictors that read raw columns.
        validation: the same for other rows.
        test: the same for the rows to predict.
        y: encoded labels of the training rows.
        y_validation: encoded labels of the validation rows.
        labels: how they were encoded.
    """

    train: Any
    validation: Any
    test: Any
    y: Tensor
    y_validation: Tensor
    labels: Labels


@dataclass(frozen=True)
class Fitted:
    """What a predictor says, R runs of it.

    Attributes:
        test: float32 [R, N_test, C] probabilities, or [R, N_test, 1] values in the label's units.
        validation: the same for the validation rows.
        best_epochs: per run, the epoch whose weights were kept, from 0 (trees: the last one that is used).
        history: per epoch (or tree) the validation scores of all runs, NaN where a run had stopped: error rate (trees
            and values: loss) and loss, the latter log loss or squared error in units of the label's variance over the
            training rows. Empty for predictors without epochs.
        drawn: settings of the trial that was chosen; empty for the first one.
    """

    test: Tensor
    validation: Tensor
    best_epochs: list[int]
    history: list[list[Score]]
    drawn: Drawn = field(default_factory=dict)


def repeated(at_validation: Tensor, at_test: Tensor, runs: int, last: int, history: list[float]) -> Fitted:
    """Outputs [N, C] of a predictor in which nothing is random: they stand for all runs, without a copy."""
    return Fitted(
        at_test.expand(runs, -1, -1), at_validation.expand(runs, -1, -1), [last] * runs,
        [[(loss, loss)] * runs for loss in history],
    )  # fmt: skip


def joined(fits: list[Fitted]) -> Fitted:
    """Runs that were fitted one after the other, as one result without a history."""
    return Fitted(
        torch.cat([fit.test for fit in fits]), torch.cat([fit.validation for fit in fits]),
        [epoch for fit in fits for epoch in fit.best_epochs], [],
    )  # fmt: skip
