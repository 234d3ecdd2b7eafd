"""Fits one of the six predictors of the benchmark, once per seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from torch import Tensor

from varjepa.config import PredictorName, PredictorSettings
from varjepa.evaluation.benchmark.predictors.boosting import boost
from varjepa.evaluation.benchmark.predictors.inputs import SMALLEST_SPREAD, Inputs, standardised
from varjepa.evaluation.benchmark.predictors.networks import FLAT, NeuralName, new_stack
from varjepa.evaluation.benchmark.predictors.stacking import Streams
from varjepa.evaluation.benchmark.predictors.training import Rows, Score, StackTrainer
from varjepa.nn.random import StackedRandomness


@dataclass(frozen=True)
class Fitted:
    """What a predictor says, R runs of it.

    Attributes:
        test: float32 [R, N_test, C] probabilities, or [R, N_test, 1] values in the label's units.
        validation: the same for the validation rows.
        best_epochs: per run, the epoch whose weights were kept, from 0 (trees: the last one).
        history: per epoch (or tree) the validation scores of all runs, NaN where a run had stopped: error rate (trees
            and values: loss) and loss, the latter log loss or squared error in units of the label's variance over the
            training rows.
    """

    test: Tensor
    validation: Tensor
    best_epochs: list[int]
    history: list[list[Score]]


def fit_predictors(
    name: PredictorName, train: tuple[Inputs, Tensor], validation: tuple[Inputs, Tensor], test: Inputs, *,
    n_classes: int, seeds: Sequence[int], settings: PredictorSettings,
) -> Fitted:  # fmt: skip
    """Fits one predictor for every seed, all seeds of a neural one together.

    Equal seeds give equal numbers on the same machine. What a seed gives depends on the seeds beside it by rounding
    only: weights, row orders and dropout come from its own streams. Nothing in XGBoost is random, so it is fitted
    once and its runs are equal.

    Args:
        name: one of `varjepa.config.PREDICTORS`.
        train: inputs and labels; class numbers [N] of any type, or values [N].
        validation: inputs and labels of other rows, for early stopping.
        test: inputs of the rows to predict.
        n_classes: C, or 0 for regression.
        seeds: one per run.
        settings: sizes, optimiser, stopping.

    Raises:
        ValueError: if there are no training or validation rows, or no seeds.
    """
    if not (len(train[1]) and len(validation[1]) and len(seeds)):
        raise ValueError(
            f"a predictor needs rows and seeds; found {len(train[1])} training rows, {len(validation[1])} validation "
            f"rows and {len(seeds)} seeds"
        )
    parts = standardised(train[0], validation[0], test)
    labels = Labels.of(train[1], n_classes)
    encoded = labels.encode(train[1]), labels.encode(validation[1])
    if name == "xgboost":
        return _fit_trees(parts, encoded, labels, len(seeds), settings)
    return _fit_networks(name, parts, encoded, labels, seeds=seeds, settings=settings)


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
        return outputs.softmax(-1) if self.n_classes else outputs * self.spread + self.center


Parts = tuple[Inputs, ...]
"""Training, validation and test rows."""


def _fit_networks(
    name: NeuralName, parts: Parts, encoded: tuple[Tensor, Tensor], labels: Labels, *, seeds: Sequence[int],
    settings: PredictorSettings,
) -> Fitted:  # fmt: skip
    streams = Streams(StackedRandomness.seeded(seeds))
    train, validation, test = (part.flat() if name in FLAT else part.values for part in parts)  # [N, F] or [N, D, W]
    # Values need one output. All runs draw from one object whose streams the trainer renews every epoch.
    network = new_stack(name, parts[0].widths, labels.n_classes or 1, settings, seeds=seeds, streams=streams)
    trainer = StackTrainer(
        network=network.to(train.device), streams=streams, seeds=seeds, settings=settings, n_classes=labels.n_classes
    )
    history = trainer.fit(Rows(train, encoded[0]), Rows(validation, encoded[1]))
    at_test, at_validation = (labels.decode(output) for output in trainer.predict_best(test, validation))
    return Fitted(at_test, at_validation, trainer.best.epochs, history)


def _fit_trees(
    parts: Parts, encoded: tuple[Tensor, Tensor], labels: Labels, n_runs: int, settings: PredictorSettings
) -> Fitted:
    train, validation, test = (part.flat() for part in parts)
    boosted = boost(
        (train, encoded[0]), (validation, encoded[1]), test, n_classes=labels.n_classes, settings=settings.xgboost
    )
    outputs = boosted.outputs if labels.n_classes else [labels.decode(output) for output in boosted.outputs]
    # Nothing is random: [N, C] stands for all runs, [R, N, C], without a copy.
    at_validation, at_test = (output.expand(n_runs, -1, -1) for output in outputs)
    history = [[(loss, loss)] * n_runs for loss in boosted.history]
    return Fitted(at_test, at_validation, [settings.xgboost.n_trees - 1] * n_runs, history)
