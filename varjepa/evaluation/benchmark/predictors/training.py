"""Trains all runs of one neural predictor together, each stopped on its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from varjepa.config.predictors import PredictorSettings
from varjepa.evaluation.benchmark.predictors.problem import Score
from varjepa.evaluation.benchmark.predictors.stacking import Streams
from varjepa.nn.optimizers import AdamW
from varjepa.nn.random import StackedRandomness

CHUNK = 128
"""Rows evaluated at a time and run; more would leave the cache."""

MISSING: Score = (float("nan"), float("nan"))
"""History of a run that has stopped."""


class Rows(NamedTuple):
    """Inputs of a network and what it should say about them.

    Attributes:
        x: float32 [N, ...].
        y: class numbers int64 [N], or standardised values float32 [N].
    """

    x: Tensor
    y: Tensor


@dataclass
class Runs:
    """What is known of every run, those included that have left the stack.

    Attributes:
        scores: best validation score of each.
        epochs: the epoch it was reached after, from 0.
        states: weights at that time, without a run axis: name -> tensor.
    """

    scores: list[Score]
    epochs: list[int]
    states: list[dict[str, Tensor]] = field(repr=False)

    @classmethod
    def unseen(cls, n_runs: int) -> "Runs":
        """Before the first epoch."""
        return cls([(float("inf"), float("inf"))] * n_runs, [0] * n_runs, [{} for _ in range(n_runs)])


class StackTrainer:
    """AdamW over a stack of runs; the run at place i of the stack is run `active[i]`.

    A run leaves the stack when its patience is over: it costs nothing more, and the others go on as if it were there.

    Args:
        network: from `varjepa.evaluation.benchmark.predictors.networks.new_stack`.
        streams: the source of its dropout.
        seeds: one per run; (seed, epoch) gives its row order and dropout.
        settings: optimiser and stopping.
        n_classes: C, or 0 for regression.
    """

    def __init__(
        self, *, network: nn.Module, streams: Streams, seeds: Sequence[int], settings: PredictorSettings, n_classes: int
    ) -> None:
        self.network, self.streams, self.seeds = network, streams, tuple(seeds)
        self.settings, self.n_classes = settings, n_classes
        self.active = list(range(len(seeds)))
        self.best = Runs.unseen(len(seeds))
        # NOTE[DIFF] the authors of the networks spare biases and normalisations the weight decay; it is 1e-5 a step.
        self.optimizer = AdamW(network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
        # Of all floating-point states, those of batch normalisation included.
        self.average = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self.step = 0

    def fit(self, train: Rows, validation: Rows) -> list[list[Score]]:
        """Trains until every run has stopped.

        Returns:
            validation scores, one list per epoch with one entry per run; NaN where it had stopped.
        """
        history = []
        steps_per_epoch = -(-len(train.y) // self.settings.batch_size)
        patience = min(self.settings.patience, -(-self.settings.patience_steps // steps_per_epoch))
        for epoch in range(self.settings.epochs):
            self._train(train, epoch)
            with self._averaged():
                scores = self._scores(validation)
            row = [MISSING] * len(self.seeds)  # runs that have left the stack keep this
            for place, score in enumerate(scores):
                row[self.active[place]] = score
                self._note(place, epoch, score)
            history.append(row)
            self._drop_finished(epoch, patience)
            if not self.active:
                break
        return history

    def predict_best(self, *inputs: Tensor) -> list[Tensor]:
        """Outputs [R, N, C] for inputs [N, ...], by the best weights of every run."""
        for name, value in self.network.state_dict(keep_vars=True).items():
            value.data = torch.stack([state[name] for state in self.best.states])  # the stack has all runs again
        self.active = list(range(len(self.seeds)))
        return [self._predict(x) for x in inputs]

    def _train(self, train: Rows, epoch: int) -> None:
        random = StackedRandomness.seeded([self.seeds[run] for run in self.active], epoch)
        self.streams.random = random
        self.network.train()
        for rows in random.orders(len(train.y)).split(self.settings.batch_size, dim=1):  # [R, B]
            index = rows.reshape(-1)  # [R B], run by run, as the stack folds runs into the batch
            loss = self._per_row(self.network(train.x[index]), train.y[index]).view(rows.shape).mean(1)
            self.optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()  # runs share no parameter: the gradient of the sum is that of each
            self.optimizer.step()
            self._average()

    @torch.no_grad()
    def _average(self) -> None:
        """Moves the average toward the weights; at first it follows them closely."""
        self.step += 1
        keep = min(self.settings.weight_average, (1 + self.step) / (10 + self.step))
        state = self.network.state_dict()
        torch._foreach_lerp_(list(self.average.values()), [state[name] for name in self.average], 1 - keep)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The network computes with the average of its weights."""
        state = self.network.state_dict(keep_vars=True)
        trained = {name: value.data for name, value in state.items()}
        for name, value in state.items():
            value.data = self.average[name]
        try:
            yield
        finally:
            for name, value in state.items():
                value.data = trained[name]

    def _per_row(self, output: Tensor, y: Tensor) -> Tensor:
        if self.n_classes:
            return F.cross_entropy(output, y, reduction="none")
        return (output[:, 0] - y).square()

    @torch.no_grad()
    def _predict(self, x: Tensor) -> Tensor:
        self.network.eval()
        n_runs = len(self.active)
        parts = []
        for chunk in x.split(CHUNK):
            rows = chunk.expand(n_runs, *chunk.shape).reshape(-1, *chunk.shape[1:])  # [R B, ...], the same for each run
            parts.append(self.network(rows).view(n_runs, len(chunk), -1))
        return torch.cat(parts, dim=1)

    def _scores(self, part: Rows) -> list[Score]:
        output = self._predict(part.x)  # [R, N, C]
        losses = self._per_row(output.flatten(0, 1), part.y.repeat(len(output))).view(len(output), -1)
        wrong = output.argmax(-1) != part.y if self.n_classes else losses
        return list(zip(wrong.double().mean(1).tolist(), losses.double().mean(1).tolist(), strict=True))

    def _note(self, place: int, epoch: int, score: Score) -> None:
        run = self.active[place]
        # The first epoch counts even where its loss is not a number: there must be weights to predict with.
        if score < self.best.scores[run] or not self.best.states[run]:
            self.best.scores[run], self.best.epochs[run] = score, epoch
            self.best.states[run] = {name: value[place].clone() for name, value in self.average.items()}

    def _drop_finished(self, epoch: int, patience: int) -> None:
        places = [i for i, run in enumerate(self.active) if epoch - self.best.epochs[run] < patience]
        if len(places) == len(self.active):
            return
        self.active = [self.active[place] for place in places]
        # The optimiser knows parameters by identity: they stay the same objects, with fewer runs in them.
        for value in self.network.state_dict(keep_vars=True).values():
            for moment in ("exp_avg", "exp_avg_sq"):
                if moment in self.optimizer.state.get(value, {}):
                    self.optimizer.state[value][moment] = self.optimizer.state[value][moment][places]
            value.grad = None
            value.data = value.data[places]
        self.average = {name: value[places] for name, value in self.average.items()}
