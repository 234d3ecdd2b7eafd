"""Trains a generator on the frozen tokens of a network."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from varjepa.config import TrainingSection
from varjepa.config.heads import GeneratorSection
from varjepa.data.tensors.bars import Cells
from varjepa.data.tensors.table import TableTensors
from varjepa.interruption import signals_held
from varjepa.memory import ran_out, smaller
from varjepa.models.generator import Generator, class_log_prob
from varjepa.models.network import TableNetwork
from varjepa.nn.muon import MuonAdamW
from varjepa.nn.random import Randomness, initial_weights
from varjepa.objective.elbo import masked_mean
from varjepa.side_by_side import threads_for
from varjepa.training.activations import rows_at_once
from varjepa.training.checkpoints import load_checkpoint, save_checkpoint
from varjepa.training.device import keep_memory, resolve_precision
from varjepa.training.epoch_rows import Table
from varjepa.training.loop import LOOK_STEPS, VALIDATION_STREAM
from varjepa.training.parts import Division, Gradients, add_gradients, gradients_of

WARMUP_STEPS = 50  # steps of linear warm-up
DECAYED = 0.04
"""Share of the weights of matrices that decay takes in a pass over the training rows, at the peak learning rate. A
small table, passed hundreds of times, needs more of it in a step than a large one; per pass, the same suits both (Wang
and Aitchison, "How to set AdamW's weight decay as you scale model and dataset size", 2024)."""

STREAM = 2**21
"""Stream number of the generator's batches and masks."""

EVALUATED_ROWS = 256
"""Validation rows at a time, whatever the batches: which cells are hidden depends on it."""


R = TypeVar("R")

HiddenPart = tuple[TableTensors, Tensor]
"""Some rows of a batch, and which of their cells are kept, bool [B, D]."""

GeneratorProgress = Callable[[int, float, float], None]
"""Called with (steps done, mean negative log-probability of a hidden cell of the validation rows in nats, rows per
second)."""


@dataclass
class _State:
    """Progress of training.

    Attributes:
        step: steps done.
        looks: (steps done, loss, rows per second) of every evaluation on the validation rows.
        best: weights of the lowest loss.
        best_loss: that loss.
        misses: evaluations since then.
        seconds: duration of training so far.
    """

    step: int = 0
    looks: list[tuple[int, float, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_loss: float = math.inf
    misses: int = 0
    seconds: float = 0.0


class GeneratorTrainer:
    """Hides a random share of every row's cells, uniform in [0, 1), and learns to predict them.

    Args:
        network: gives the tokens; not trained.
        cells: classes of cells.
        tables: (training rows, validation rows) on the network's device.
        section: layers, steps and rates.
        training: seed of weights, batches and masks, precision, minutes between two checkpoints.
        n_heads: attention heads; divides the width of the tokens.
        checkpoint: file to resume from and to write from time to time; None keeps nothing.
    """

    def __init__(
        self,
        *,
        network: TableNetwork,
        cells: Cells,
        tables: tuple[Table, Table],
        section: GeneratorSection,
        training: TrainingSection,
        n_heads: int,
        checkpoint: Path | None = None,
    ) -> None:
        self.network, self.section, self.training, self.checkpoint = network, section, training, checkpoint
        self.table, self.validation = tables
        self.cells, self.device = cells, self.table.device
        self.precision = resolve_precision(training.precision, self.device)
        self.batch_size, self.steps = section.batch(self.table.n_rows), section.steps(self.table.n_rows)
        with initial_weights(training.seed):
            self.generator = Generator(
                sizes=cells.sizes, d_token=network.d_hidden, n_layers=section.n_layers, n_heads=n_heads
            ).to(self.device)
        decay = DECAYED * self.batch_size / (self.table.n_rows * section.lr)
        self.optimizer = MuonAdamW(self.generator, lr=section.lr, weight_decay=decay)
        self.rows_at_once = rows_at_once(
            self.table,
            section.batch_size,
            lambda rows: self._loss(rows, torch.zeros_like(rows.observed)),
            self.generator.parameters(),
        )

    def fit(self, on_progress: GeneratorProgress) -> Generator:
        """Trains until the last step or until patience runs out.

        Args:
            on_progress: receives every evaluation on the validation rows, including those before a resume.

        Returns:
            The generator with its best weights, in evaluation mode.
        """
        keep_memory()
        section, random = self.section, Randomness.seeded(self.training.seed, STREAM, device=self.device)
        state = self._resumed(random)
        for look in state.looks:
            on_progress(*look)
        # Steps after which validation rows are evaluated: evenly spaced, the last step among them.
        ends = {round(self.steps * (k + 1) / section.evaluations) for k in range(section.evaluations)}
        saved = time.perf_counter()
        started = saved - state.seconds  # as if there had been no interruption
        numbers = self.batch_size * len(self.cells.sizes) * self.network.d_hidden
        with threads_for(numbers, self.device), signals_held(on=self.checkpoint is not None) as held:
            while state.step < self.steps and state.misses < section.patience:
                self._step(state.step, random)
                state.step += 1
                state.seconds = time.perf_counter() - started
                if state.step in ends:
                    self._look(state)
                    on_progress(*state.looks[-1])
                due = time.perf_counter() - saved >= 60 * self.training.checkpoint_minutes
                if self.checkpoint is not None and (held.arrived or (due and state.step % LOOK_STEPS == 0)):
                    self._save(self.checkpoint, state, random)
                    saved = time.perf_counter()
                if held.arrived:
                    held.let_go()
        self.generator.load_state_dict(state.best)
        return self.generator.eval()

    def _look(self, state: _State) -> None:
        """Measures the loss on the validation rows and keeps the weights if it is the lowest."""
        loss = self.evaluate()
        state.looks.append((state.step, loss, state.step * self.batch_size / state.seconds))
        state.misses = 0 if loss < state.best_loss else state.misses + 1
        # The first weights are kept whatever their loss (a NaN is never the lowest): `fit` needs some to load.
        if loss < state.best_loss or not state.best:
            state.best_loss = loss
            state.best = {name: value.detach().clone() for name, value in self.generator.state_dict().items()}

    def _save(self, checkpoint: Path, state: _State, random: Randomness) -> None:
        content: dict[str, Any] = {
            "generator": self.generator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": random.state(),
            "state": vars(state),
        }
        save_checkpoint(checkpoint, content)

    def _resumed(self, random: Randomness) -> _State:
        """The state of the checkpoint, with `random` set accordingly; a fresh state where there is none."""
        content = load_checkpoint(self.checkpoint, self.device) if self.checkpoint else None
        if content is None:
            return _State()
        self.generator.load_state_dict(content["generator"])
        self.optimizer.load_state_dict(content["optimizer"])
        random.restore(content["random"])
        return _State(**content["state"])

    def _step(self, step: int, random: Randomness) -> None:
        share = 0.5 * (1 + math.cos(math.pi * step / self.steps))  # half a cosine from 1 to 0
        for group in self.optimizer.param_groups:
            group["lr"] = self.section.lr * min(1.0, (step + 1) / WARMUP_STEPS) * share
        rows = torch.randint(self.table.n_rows, (self.batch_size,), generator=random.device, device=self.device)
        state = random.state()
        while not self._gradients(self.table.rows(rows), random):
            self.rows_at_once = smaller(min(self.rows_at_once, len(rows)))
            random.restore(state)
        torch.nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0, foreach=True)
        self.optimizer.step()

    def _gradients(self, batch: TableTensors, random: Randomness) -> bool:
        """Leaves the gradients of a batch in the parameters; False if memory does not suffice."""
        self.optimizer.zero_grad(set_to_none=True)
        try:
            for gradients in self._computed(lambda part: self._gradients_of(part, batch.n_rows), batch, random):
                add_gradients(self.generator, gradients)
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            return False
        return True

    def _gradients_of(self, part: HiddenPart, total: int) -> Gradients:
        # Divided by the whole batch, so that the sum over the parts is the gradient of the batch's mean.
        return gradients_of(self._loss(*part).sum() / total, self.generator)

    def _computed(self, compute: Callable[[HiddenPart], R], table: TableTensors, random: Randomness) -> Iterator[R]:
        """Results of a batch of which random cells are hidden, part by part."""
        # A share per row, then cells by that share: every number of hidden cells occurs, as in order-agnostic models.
        kept = random.uniform(*table.observed.shape) < random.uniform(table.n_rows, 1)
        numbers = table.observed.shape[1] * self.network.d_hidden
        division = Division.of(slice(0, table.n_rows), numbers, self.rows_at_once, self.device)
        return division.compute(compute, [(table.rows(part), kept[part]) for part in division.rows])

    def _loss(self, table: TableTensors, kept: Tensor) -> Tensor:
        """Mean negative log-probability [B] of each row's cells that are not kept, bool [B, D]."""
        with torch.no_grad():
            tokens = self.network.tokens(table)  # [B, D, d]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16):
            likelihood = self.generator(tokens, table.observed & kept)
        return masked_mean(-class_log_prob(likelihood, self.cells.classes(table)), table.observed & ~kept)

    @torch.no_grad()
    def evaluate(self) -> float:
        """Loss on the validation rows, with the same cells hidden at every call."""
        self.generator.eval()
        random, total = Randomness.seeded(self.training.seed, VALIDATION_STREAM, device=self.device), 0.0
        for start in range(0, self.validation.n_rows, EVALUATED_ROWS):
            rows = slice(start, start + EVALUATED_ROWS)
            losses = self._computed(lambda part: self._loss(*part), self.validation.rows(rows), random)
            total += sum(float(loss.sum()) for loss in losses)
        self.generator.train()
        return total / max(self.validation.n_rows, 1)
