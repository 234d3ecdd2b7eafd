"""The training loop: table and masks as tensors, no data loader, no waiting for the device inside an epoch."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from varjepa.config import MaskingSection, ObjectiveSection, TrainingSection
from varjepa.data.table import TableTensors
from varjepa.errors import VarjepaError
from varjepa.models.masks import draw_masks, draw_sizes
from varjepa.models.var_t_jepa import VarTJEPANetwork
from varjepa.nn.random import Randomness
from varjepa.objective.elbo import LossTerms, Weights, final_weights, loss_terms
from varjepa.objective.schedules import lr_at, weights_at
from varjepa.training.checkpoints import load_checkpoint, save_checkpoint

VALIDATION_STREAM = 2**20
"""Stream number of the masks and samples of validation, apart from those of any epoch."""


class Evaluator(Protocol):
    """Scores the network between epochs; called with the network in evaluation mode."""

    def __call__(self, network: VarTJEPANetwork) -> tuple[float, dict[str, float]]:
        """Returns (score, metrics); a higher score is better."""


Progress = Callable[[int, int, float, float], None]
"""Called now and then inside an epoch with (epoch, rows done, ELBO of the last step, rows per second)."""

Metrics = dict[str, float]


@dataclass(frozen=True)
class Trained:
    """What training leaves.

    Attributes:
        history: metrics per epoch, in order.
        best_epoch: epoch whose weights the network holds now, from 0.
        stopped_early: whether patience ran out before `max_epochs`.
    """

    history: list[Metrics]
    best_epoch: int
    stopped_early: bool


class Trainer:
    """Trains a network on a table and keeps the weights of the best epoch.

    Args:
        network: on the device of the tables; trained in place.
        tables: (training rows, validation rows).
        objective: weights and KL schedules.
        masking: sizes and number of masks.
        training: optimiser, epochs, seeds, selection.
        evaluate: scores an epoch; None selects by validation ELBO.
        checkpoint: file to resume from and to write after every epoch; None keeps nothing.
    """

    def __init__(
        self,
        *,
        network: VarTJEPANetwork,
        tables: tuple[TableTensors, TableTensors],
        objective: ObjectiveSection,
        masking: MaskingSection,
        training: TrainingSection,
        evaluate: Evaluator | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        self.network, self.objective, self.masking, self.training = network, objective, masking, training
        self.table, self.validation = tables
        self.evaluate, self.checkpoint = evaluate, checkpoint
        self.device = self.table.observed.device
        self.batch_size = min(training.batch_size, self.table.n_rows)
        self.steps_per_epoch = -(-self.table.n_rows // self.batch_size)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=training.lr, weight_decay=training.weight_decay, fused=True
        )
        self.forward = torch.compile(network, dynamic=True) if training.compile else network
        self.history: list[Metrics] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = -1

    def fit(self, on_epoch: Callable[[Metrics], None], on_progress: Progress) -> Trained:
        """Runs until `max_epochs` or until patience runs out, then loads the best weights.

        Args:
            on_epoch: receives the metrics of every epoch, those before a resumption included.
            on_progress: see `Progress`.

        Raises:
            VarjepaError: no evaluation gave a finite score.
        """
        self._resume()
        for metrics in self.history:
            on_epoch(metrics)
        stopped_early = self._patience_over()
        while len(self.history) < self.training.max_epochs and not stopped_early:
            self.history.append(self._epoch(len(self.history), on_progress))
            on_epoch(self.history[-1])
            self._save()
            stopped_early = self._patience_over()
        if not self.best:
            raise VarjepaError("Training diverged: no epoch has a finite score.", fix="Lower training.lr.")
        self.network.load_state_dict(self.best)
        self.network.eval()
        return Trained(self.history, self.best_epoch, stopped_early)

    def _epoch(self, epoch: int, on_progress: Progress) -> Metrics:
        started = time.perf_counter()
        terms, weights, lr = self._train_epoch(epoch, on_progress)
        rows_per_second = self.table.n_rows / (time.perf_counter() - started)
        metrics = {"epoch": float(epoch), "training/lr": lr, "training/rows_per_second": rows_per_second}
        metrics |= _named("train", terms, final_weights(self.objective))
        metrics |= {f"weights/{name}": weight for name, weight in weights._asdict().items()}
        last = epoch + 1 == self.training.max_epochs
        if last or epoch % self.training.eval_every == self.training.eval_every - 1:
            metrics |= self._validate(epoch)
        return metrics | {"training/seconds": time.perf_counter() - started}

    def _train_epoch(self, epoch: int, on_progress: Progress) -> tuple[LossTerms, Weights, float]:
        """One pass over the training rows; returns mean terms and the last weights and learning rate."""
        self.network.train()
        random = Randomness.seeded(self.training.seed, epoch, device=self.device)
        order = torch.randperm(self.table.n_rows, generator=random.device, device=self.device)
        total = torch.zeros(5, device=self.device)
        started = shown = time.perf_counter()
        weights, lr = Weights(), 0.0
        for number, rows in enumerate(order.split(self.batch_size)):
            step = epoch * self.steps_per_epoch + number
            weights = weights_at(step, self.steps_per_epoch, self.objective)
            lr = lr_at(step, self.steps_per_epoch, self.training)
            terms = self._step(self.table.rows(rows), weights, lr, random)
            total += torch.stack(terms).detach() * len(rows)
            now = time.perf_counter()
            if now - shown > 0.5:
                shown, done = now, number * self.batch_size + len(rows)
                on_progress(epoch, done, -float(terms.loss(weights).detach()), done / (now - started))
        return LossTerms(*(total / self.table.n_rows)), weights, lr

    def _step(self, table: TableTensors, weights: Weights, lr: float, random: Randomness) -> LossTerms:
        terms = self._terms(table, random)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        terms.loss(weights).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.training.clip_norm, foreach=True)
        self.optimizer.step()
        return terms

    def _terms(self, table: TableTensors, random: Randomness) -> LossTerms:
        masking = self.masking
        sizes = draw_sizes(table.observed.shape[1], masking, random)
        masks = draw_masks(table.observed, sizes, masking.num_targets, random)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.training.precision == "bfloat16"):
            posterior, generated = self.forward(table, masks, random)
        return loss_terms(table, masks, posterior, generated).mean()

    def _validate(self, epoch: int) -> Metrics:
        self.network.eval()
        terms = self.evaluate_terms(self.validation)
        metrics = _named("validation", terms, final_weights(self.objective))
        score = metrics["validation/elbo"]
        if self.evaluate is not None:
            score, more = self.evaluate(self.network)
            metrics |= more
        metrics["selection/score"] = score
        selected = selected_epoch([*self.history, metrics], self.training.tie_share)
        # Where the choice falls back to an epoch whose weights are gone, the newest one comes closest.
        if selected is not None and selected != self.best_epoch:
            self.best_epoch = epoch
            self.best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        return metrics

    @torch.inference_mode()
    def evaluate_terms(self, table: TableTensors) -> LossTerms:
        """Mean terms over rows, with the same masks and samples at every call (scalars on the device)."""
        self.network.eval()
        random = Randomness.seeded(self.training.seed, VALIDATION_STREAM, device=self.device)
        total = torch.zeros(5, device=self.device)
        for start in range(0, table.n_rows, self.batch_size):
            batch = table.rows(slice(start, start + self.batch_size))
            total += torch.stack(self._terms(batch, random)) * batch.n_rows
        return LossTerms(*(total / table.n_rows))

    def _patience_over(self) -> bool:
        if not self.history or self.best_epoch < 0:
            return False
        evaluations = sum("selection/score" in metrics for metrics in self.history[self.best_epoch + 1 :])
        return evaluations >= self.training.patience

    def _save(self) -> None:
        if self.checkpoint is not None:
            content: dict[str, Any] = {
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "history": self.history,
                "best": self.best,
                "best_epoch": self.best_epoch,
            }
            save_checkpoint(self.checkpoint, content)

    def _resume(self) -> None:
        content = load_checkpoint(self.checkpoint, self.device) if self.checkpoint else None
        if content is not None:
            self.network.load_state_dict(content["network"])
            self.optimizer.load_state_dict(content["optimizer"])
            self.history, self.best, self.best_epoch = content["history"], content["best"], content["best_epoch"]


def selected_epoch(history: Sequence[Metrics], tie_share: float) -> int | None:
    """The epoch to keep: the best score, and among scores that tie with it the best validation ELBO.

    A probe tells epochs apart by a few rows of a validation part, long after it has stopped improving; the ELBO goes on
    to say which of them has learned more of the table.

    Args:
        history: metrics of the epochs so far; those without an evaluation are passed over.
        tie_share: scores within this share of the best one tie with it.

    Returns:
        Number of the epoch; None where no score is finite.

    Examples:
        >>> epochs = [(-0.500, -3.0), (-0.501, -2.0), (-0.6, -1.0)]
        >>> selected_epoch([{"selection/score": s, "validation/elbo": e} for s, e in epochs], 0.005)
        1
    """
    scores = {epoch: metrics.get("selection/score", math.nan) for epoch, metrics in enumerate(history)}
    finite = {epoch: score for epoch, score in scores.items() if math.isfinite(score)}
    if not finite:
        return None
    top = max(finite.values())
    ties = [epoch for epoch, score in finite.items() if score >= top - tie_share * abs(top)]
    return max(ties, key=lambda epoch: (history[epoch]["validation/elbo"], finite[epoch]))


def _named(prefix: str, terms: LossTerms, weights: Weights) -> Metrics:
    """Terms and ELBO by name; the ELBO uses the final weights, so that epochs compare."""
    values = {f"{prefix}/{name}": float(value) for name, value in terms._asdict().items()}
    return values | {f"{prefix}/elbo": -float(terms.loss(weights))}
