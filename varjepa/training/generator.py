"""Trains a generator on the frozen tokens of a network."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from varjepa.config.heads import GeneratorSection
from varjepa.data.bars import Cells
from varjepa.data.table import TableTensors
from varjepa.models.generator import Generator, class_log_prob
from varjepa.models.network import TableNetwork
from varjepa.nn.random import Randomness, initial_weights
from varjepa.objective.elbo import masked_mean
from varjepa.training.loop import VALIDATION_STREAM

WARMUP_STEPS = 50
WEIGHT_DECAY = 1e-4
STREAM = 2**21
"""Stream number of the generator's batches and masks."""


class GeneratorTrainer:
    """Hides a random share of every row's cells, uniform in [0, 1), and learns to say what they were.

    Args:
        network: gives the tokens; not trained.
        cells: classes of cells.
        tables: (training rows, validation rows) on the network's device.
        section: layers, steps and rates.
        n_heads: attention heads; divides the width of the tokens.
        seed: of weights, batches and masks.
    """

    def __init__(
        self,
        *,
        network: TableNetwork,
        cells: Cells,
        tables: tuple[TableTensors, TableTensors],
        section: GeneratorSection,
        n_heads: int,
        seed: int,
    ) -> None:
        self.network, self.section, self.seed = network, section, seed
        self.table, self.validation = tables
        self.classes, self.validation_classes = (cells.classes(table) for table in tables)
        self.device = self.table.observed.device
        with initial_weights(seed):
            self.generator = Generator(
                sizes=cells.sizes, d_token=network.d_hidden, n_layers=section.n_layers, n_heads=n_heads
            ).to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.generator.parameters(), lr=section.lr, weight_decay=WEIGHT_DECAY, fused=True
        )

    def fit(self, on_progress: Callable[[int, float], None]) -> Generator:
        """Trains until `max_steps` or until patience runs out.

        Args:
            on_progress: called at every look at the validation rows with (steps done, loss: mean negative
                log-probability of a hidden cell, nats).

        Returns:
            The generator with its best weights, in evaluation mode.
        """
        section, random = self.section, Randomness.seeded(self.seed, STREAM, device=self.device)
        looks = {round(section.max_steps * (k + 1) / section.evaluations) for k in range(section.evaluations)}
        best, best_loss, misses = dict[str, Tensor](), math.inf, 0
        for step in range(section.max_steps):
            self._step(step, random)
            if step + 1 not in looks:
                continue
            loss = self.evaluate()
            on_progress(step + 1, loss)
            misses = 0 if loss < best_loss else misses + 1
            if loss < best_loss or not best:
                best_loss = loss
                best = {name: value.detach().clone() for name, value in self.generator.state_dict().items()}
            if misses >= section.patience:
                break
        self.generator.load_state_dict(best)
        return self.generator.eval()

    def _step(self, step: int, random: Randomness) -> None:
        section = self.section
        share = 0.5 * (1 + math.cos(math.pi * step / section.max_steps))
        for group in self.optimizer.param_groups:
            group["lr"] = section.lr * min(1.0, (step + 1) / WARMUP_STEPS) * share
        rows = torch.randint(self.table.n_rows, (section.batch_size,), generator=random.device, device=self.device)
        self.optimizer.zero_grad(set_to_none=True)
        self._loss(self.table.rows(rows), self.classes[rows], random).mean().backward()
        torch.nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0, foreach=True)
        self.optimizer.step()

    def _loss(self, table: TableTensors, classes: Tensor, random: Randomness) -> Tensor:
        """Mean negative log-probability of each row's hidden cells [B]."""
        kept = random.uniform(*table.observed.shape) < random.uniform(table.n_rows, 1)
        with torch.no_grad():
            tokens = self.network.tokens(table)
        likelihood = self.generator(tokens, table.observed & kept)
        return masked_mean(-class_log_prob(likelihood, classes), table.observed & ~kept)

    @torch.no_grad()
    def evaluate(self) -> float:
        """Loss on the validation rows, the same cells hidden at every call."""
        self.generator.eval()
        random, total = Randomness.seeded(self.seed, VALIDATION_STREAM, device=self.device), 0.0
        for start in range(0, self.validation.n_rows, self.section.batch_size):
            rows = slice(start, start + self.section.batch_size)
            total += float(self._loss(self.validation.rows(rows), self.validation_classes[rows], random).sum())
        self.generator.train()
        return total / max(self.validation.n_rows, 1)
