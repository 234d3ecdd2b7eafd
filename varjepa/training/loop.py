"""The training loop: rows and masks as tensors, without waiting for the device inside an epoch."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from varjepa.config import MaskingSection, ObjectiveSection, TrainingSection
from varjepa.data.tensors.table import TableTensors
from varjepa.errors import VarjepaError
from varjepa.interruption import signals_held
from varjepa.memory import ran_out, smaller
from varjepa.models.masks import Masks, draw_masks, draw_sizes, largest_sizes
from varjepa.models.network import TableNetwork
from varjepa.nn.random import Randomness
from varjepa.nn.transformer import compile_blocks
from varjepa.objective.objective import Terms, objective_for
from varjepa.objective.schedules import lr_at
from varjepa.side_by_side import threads_for
from varjepa.training.activations import rows_at_once
from varjepa.training.best_epoch import newest_is_best
from varjepa.training.checkpoints import load_checkpoint, save_checkpoint
from varjepa.training.device import keep_memory, resolve_precision
from varjepa.training.distributed import World
from varjepa.training.epoch_rows import Epochs, RowSource, Table
from varjepa.training.optimizer import optimizer_for
from varjepa.training.parts import Division, Gradients, Part, add_gradients, gradients_of, parts_of
from varjepa.training.recorded import RecordedSteps, Run
from varjepa.training.settings import StepSettings

R = TypeVar("R")

ALONE = World()

VALIDATION_STREAM = 2**20
"""Stream number of the masks and samples of validation, different from that of any epoch."""

LOOK_STEPS = 8
"""Steps between checks whether a checkpoint is due, on which all processes must agree."""


class Evaluator(Protocol):
    """Scores the network between epochs; called with the network in evaluation mode."""

    def __call__(self, network: TableNetwork) -> tuple[float | None, dict[str, float]]:
        """Returns (score, metrics); a higher score is better. Without a score, that of the objective stands."""


Metrics = dict[str, float]

Progress = Callable[[int, int, Metrics, float], None]
"""Called at most twice a second in an epoch with (epoch, rows done, named terms of the last step, rows per second)."""


@dataclass(frozen=True)
class Trained:
    """Result of training.

    Attributes:
        history: metrics per epoch, in order.
        best_epoch: epoch whose weights the network holds now, from 0.
        stopped_early: whether patience ran out before `max_epochs`.
    """

    history: list[Metrics]
    best_epoch: int
    stopped_early: bool


@dataclass(frozen=True)
class Position:
    """Progress within an epoch.

    Attributes:
        step: steps of the epoch that are done.
        totals: terms summed over their rows, by process [world size, terms].
        random: see `Randomness.state`.
        seconds: duration of the epoch so far.
    """

    step: int
    totals: Tensor
    random: dict[str, Any]
    seconds: float


class Trainer:
    """Trains a network on a table and keeps the weights of the best epoch.

    Args:
        network: of any kind, on the device of the tables; trained in place.
        tables: (training rows: a table in memory, or another source of rows; validation rows).
        objective: weights and KL schedules.
        masking: sizes and number of masks.
        training: optimiser, epochs, seeds, selection.
        evaluate: scores an epoch; None selects by the objective on validation rows.
        checkpoint: file to resume from, and to write after every epoch and every `training.checkpoint_minutes` within
            one; None keeps nothing.
        world: the processes that share every batch; the leading one alone evaluates, reports and writes.
    """

    def __init__(
        self,
        *,
        network: TableNetwork,
        tables: tuple[Table | RowSource, Table],
        objective: ObjectiveSection,
        masking: MaskingSection,
        training: TrainingSection,
        evaluate: Evaluator | None = None,
        checkpoint: Path | None = None,
        world: World = ALONE,
    ) -> None:
        self.network, self.masking, self.training, self.world = network, masking, training, world
        self.validation, self.evaluate, self.checkpoint = tables[1], evaluate, checkpoint
        self.epochs = Epochs(tables[0], batch_size=training.batch_size, most=training.epoch_rows, seed=training.seed)
        self.device, self.batch_size, self.steps_per_epoch = tables[0].device, self.epochs.batch_size, self.epochs.steps
        self.objective = objective_for(
            network, objective, steps_per_epoch=self.steps_per_epoch, epochs=training.max_epochs
        )
        self.on_gpu = self.device.type == "cuda"
        self.optimizer = optimizer_for(network, training, on_gpu=self.on_gpu)
        self.precision = resolve_precision(training.precision, self.device)
        compile_blocks(network, on=training.compile)
        # Measured with the largest masks, so that no batch needs more memory than planned.
        self.rows_at_once = rows_at_once(self.validation, self.batch_size, self._largest_terms, network.parameters())
        # Entry 0 is the learning rate, the others are the weights of the terms.
        self.settings = StepSettings(lambda step: (self._lr(step), *self.objective.weights(step)), self.device)
        # Only a lone process records its steps: with several, a step also exchanges gradients.
        self.optimise: Run = self._optimise
        if self.on_gpu and training.cuda_graphs and world.size == 1:
            self.optimise = RecordedSteps(self._optimise, self.batch_size, self.device)
        self.history: list[Metrics] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = -1
        self.position: Position | None = None
        self.saved = time.perf_counter()

    def fit(self, on_epoch: Callable[[Metrics], None], on_progress: Progress) -> Trained:
        """Runs until `max_epochs` or until patience runs out, then loads the best weights.

        Args:
            on_epoch: receives the metrics of every epoch, including those before a resume.
            on_progress: see `Progress`.

        Raises:
            VarjepaError: no evaluation gave a finite score.
        """
        keep_memory()
        self._resume()
        for metrics in self.history:
            on_epoch(metrics)
        stopped_early = self._patience_over()
        while len(self.history) < self.training.max_epochs and not stopped_early:
            self.history.append(self._epoch(len(self.history), on_progress))
            self._save()  # first, so that a caller who stops the training here can resume it after this epoch
            on_epoch(self.history[-1])
            stopped_early = self._patience_over()
        if not self.best:
            raise VarjepaError("Training diverged: no epoch has a finite score.", fix="Lower training.lr.")
        self.network.load_state_dict(self.best)
        self.network.eval()
        return Trained(self.history, self.best_epoch, stopped_early)

    def _epoch(self, epoch: int, on_progress: Progress) -> Metrics:
        # An interrupted epoch counts the time before the interruption, too.
        before = self.position.seconds if self.position else 0.0
        started = time.perf_counter() - before
        named = self.objective.named(self._train_epoch(epoch, on_progress))  # waits for the device
        rows_per_second = self.epochs.rows(epoch) / (time.perf_counter() - started)
        last_step = (epoch + 1) * self.steps_per_epoch - 1
        metrics = {"epoch": float(epoch), "training/lr": self._lr(last_step)}
        metrics |= {"training/rows_per_second": rows_per_second}
        metrics |= _prefixed("train", named) | self.objective.schedule(last_step)
        last = epoch + 1 == self.training.max_epochs
        if last or epoch % self.training.eval_every == self.training.eval_every - 1:
            metrics |= self._validate(epoch)
        return metrics | {"training/seconds": time.perf_counter() - started}

    def _train_epoch(self, epoch: int, on_progress: Progress) -> Terms:
        """Trains on the rows of an epoch, or on the rest of them after an interruption; returns mean terms."""
        self.network.train()
        # A resumed epoch also draws its order from the fresh stream; `_restore_position` then moves the stream on.
        random = Randomness.seeded(self.training.seed, epoch, device=self.device)
        batches = self.epochs.batches(epoch, random, self.position.step if self.position else 0)
        first, seconds, total = self._restore_position(random)
        shown = time.perf_counter()
        started = shown - seconds
        numbers = self.batch_size * self.validation.rows(slice(0, 0)).observed.shape[1] * self.network.d_hidden
        # Processes that train together would have to stop after the same step.
        held_on = self.checkpoint is not None and self.world.size == 1
        with threads_for(numbers, self.device), signals_held(on=held_on) as held:
            for number, batch in enumerate(batches, start=first):
                terms = self._step(batch, epoch * self.steps_per_epoch + number, random)
                # Summed on the device: reading a number here would wait for it at every step.
                total += torch.stack(terms) * batch.n_rows
                now = time.perf_counter()
                if now - shown > 0.5:
                    shown, done = now, number * self.batch_size + batch.n_rows
                    # Terms are this process's share of the batch's mean; shown is the mean over its own rows.
                    own = self.objective.terms_type(*(term / self.world.weight(batch.n_rows) for term in terms))
                    on_progress(epoch, done, self.objective.named(own), done / (now - started))
                if held.arrived or ((number + 1) % LOOK_STEPS == 0 and self._due(now)):
                    self._save(Position(number + 1, self.world.gathered(total), random.state(), now - started))
                if held.arrived:
                    held.let_go()
        return self.objective.terms_type(*(self.world.sum_(total) / self.epochs.rows(epoch)))

    def _restore_position(self, random: Randomness) -> tuple[int, float, Tensor]:
        """Start of the rest of the epoch: (steps done, seconds taken, own totals); sets `random` accordingly."""
        position, self.position = self.position, None
        if position is None:
            return 0, 0.0, self._zero()
        random.restore(position.random)
        return position.step, position.seconds, self.world.own(position.totals.to(self.device))

    def _due(self, now: float) -> bool:
        """Whether a checkpoint is due; the leading process decides, as the clocks of others may differ."""
        if self.checkpoint is None:
            return False
        return self.world.broadcast(now - self.saved >= 60 * self.training.checkpoint_minutes)

    def _step(self, table: TableTensors, step: int, random: Randomness) -> Terms:
        self.settings.set(step)
        for group in self.optimizer.param_groups:
            # On a GPU a tensor, which a recorded step reads anew at every replay.
            group["lr"] = self.settings.now[0] if self.on_gpu else self._lr(step)
        total = self.optimise(table, self._sizes(table, random), random)
        self.objective.after_step(step)
        return self.objective.terms_type(*total)

    def _lr(self, step: int) -> float:
        return lr_at(step, self.steps_per_epoch, self.training)

    def _sizes(self, table: TableTensors, random: Randomness) -> tuple[int, int]:
        return draw_sizes(table.observed.shape[1], self.masking, random)

    def _optimise(self, table: TableTensors, sizes: tuple[int, int], random: Randomness) -> Tensor:
        """The part of a step after the host's decisions; returns the batch's mean terms, or this process's part."""
        while (total := self._gradients(table, sizes, random)) is None:
            self.rows_at_once = smaller(min(self.rows_at_once, table.n_rows))
        self.world.sum_gradients(self.network.parameters())
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.training.clip_norm, foreach=True)
        self.optimizer.step()
        return total

    def _gradients(self, table: TableTensors, sizes: tuple[int, int], random: Randomness) -> Tensor | None:
        """Mean terms of a batch, whose gradients are left in the parameters; None if memory does not suffice."""
        self.optimizer.zero_grad(set_to_none=True)
        # While a step is recorded, memory and the numbers drawn are the recorder's.
        state = None if self.on_gpu and torch.cuda.is_current_stream_capturing() else random.state()
        total = self._zero()
        try:
            for terms, gradients in self._computed(self._terms_and_gradients, table, sizes, random):
                total += terms
                add_gradients(self.network, gradients)
        except (MemoryError, RuntimeError) as error:
            if state is None or not ran_out(error):
                raise
            random.restore(state)  # the same numbers for smaller parts
            return None
        return total

    def _terms_and_gradients(self, part: Part) -> tuple[Tensor, Gradients]:
        terms = self._terms(part)
        return terms.detach(), gradients_of((terms * self.settings.now[1:]).sum(), self.network)

    def _computed(
        self, compute: Callable[[Part], R], table: TableTensors, sizes: tuple[int, int], random: Randomness
    ) -> Iterator[R]:
        """Results of this process's rows of a batch, part by part."""
        own, (total, n_features) = self.world.share(table.n_rows), table.observed.shape
        masks = draw_masks(table.observed, sizes, self.masking.num_targets, random)
        division = Division.of(own, n_features * self.network.d_hidden, self.rows_at_once, self.device)
        parts = parts_of(table, masks, random, division.rows, self.world.weight(total))
        return division.compute(compute, parts)

    def _terms(self, part: Part) -> Tensor:
        """Weighted terms of some rows of a batch; their sum over all parts and processes is the mean over the batch."""
        return torch.stack(self._mean_terms(part.table, part.masks, part.random)) * part.weight

    def _mean_terms(self, table: TableTensors, masks: Masks, random: Randomness) -> Terms:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16):
            outputs = self.network(table, masks, random)
        return self.objective.terms(table, masks, outputs).mean()

    def _largest_terms(self, table: TableTensors) -> Terms:
        """Mean terms with the largest masks."""
        random = Randomness.seeded(self.training.seed, device=self.device)
        sizes = largest_sizes(table.observed.shape[1], self.masking)
        masks = draw_masks(table.observed, sizes, self.masking.num_targets, random)
        return self._mean_terms(table, masks, random)

    def _zero(self) -> Tensor:
        """Zeros to which the terms of many batches are added."""
        return torch.zeros(len(self.objective.terms_type._fields), device=self.device)

    def _validate(self, epoch: int) -> Metrics:
        self.network.eval()
        terms = self.evaluate_terms(self.validation)
        named = self.objective.named(terms)
        metrics, score = _prefixed("validation", named), self.objective.score(named)
        if self.evaluate is not None and self.world.leads:
            own, more = self.evaluate(self.network)
            score, metrics = score if own is None else own, metrics | more
        metrics = self.world.broadcast(metrics | {"selection/score": score})
        kept, tie_break = self.best_epoch if self.best else None, self.objective.tie_break
        if newest_is_best([*self.history, metrics], kept, tie_share=self.training.tie_share, tie_break=tie_break):
            self.best_epoch = epoch
            self.best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        return metrics

    @torch.inference_mode()
    def evaluate_terms(self, table: Table) -> Terms:
        """Mean terms over rows, with the same masks and samples at every call (scalars on the device)."""
        self.network.eval()
        random = Randomness.seeded(self.training.seed, VALIDATION_STREAM, device=self.device)
        total = self._zero()
        for start in range(0, table.n_rows, self.batch_size):
            batch = table.rows(slice(start, start + self.batch_size))
            sizes, state = self._sizes(batch, random), random.state()
            while (terms := self._mean_of(batch, sizes, random)) is None:
                self.rows_at_once = smaller(min(self.rows_at_once, batch.n_rows))
                random.restore(state)
            total += terms * batch.n_rows
        return self.objective.terms_type(*(self.world.sum_(total) / table.n_rows))

    def _mean_of(self, batch: TableTensors, sizes: tuple[int, int], random: Randomness) -> Tensor | None:
        """Mean terms of a batch, or this process's part; None if memory does not suffice."""
        total = self._zero()
        try:
            for terms in self._computed(self._terms, batch, sizes, random):
                total += terms
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            return None
        return total

    def _patience_over(self) -> bool:
        # Without a best epoch no score was finite yet; training may still recover.
        if not self.history or self.best_epoch < 0:
            return False
        evaluations = sum("selection/score" in metrics for metrics in self.history[self.best_epoch + 1 :])
        return evaluations >= self.training.patience

    def _save(self, position: Position | None = None) -> None:
        """Writes a checkpoint; `position` is None between epochs."""
        if self.checkpoint is not None and self.world.leads:
            content: dict[str, Any] = {
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "history": self.history,
                "best": self.best,
                "best_epoch": self.best_epoch,
                "position": vars(position) if position else None,
            }
            save_checkpoint(self.checkpoint, content)
        self.saved = time.perf_counter()

    def _resume(self) -> None:
        # The leading process reads for all: others may run on machines without the file.
        path = self.checkpoint if self.world.leads else None
        content = self.world.broadcast(load_checkpoint(path, self.device) if path else None)
        if content is not None:
            self.network.load_state_dict(content["network"])
            self.optimizer.load_state_dict(content["optimizer"])
            self.history, self.best, self.best_epoch = content["history"], content["best"], content["best_epoch"]
            self.position = Position(**content["position"]) if content["position"] else None


def _prefixed(prefix: str, named: Metrics) -> Metrics:
    return {f"{prefix}/{name}": value for name, value in named.items()}
