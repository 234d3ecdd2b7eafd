"""The network head: an ensemble of small networks on the embedding, raw columns, or both.

Numbers pass through periodic functions first, which lets a network bend sharply along one column (Gorishniy et al.
2022, "On embeddings for numerical features"); not in wide tables, where that would take nearly all of the time. Every
network leaves out a fold of the training rows and stops by its loss on them, so that together they have learned from
all rows. All networks are computed at once, by batched products.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from varjepa.config.encoder_sizes import WIDE_FEATURES
from varjepa.config.heads import FEATURES, HEAD
from varjepa.data.tensors.sizes import TableSizes
from varjepa.inference.heads.inputs import Components, HeadRows
from varjepa.nn.optimizers import AdamW
from varjepa.nn.random import initial_weights

WIDTH, FREQUENCIES, BENT = 192, 12, 6
"""Hidden width, periodic functions of a number, and what they are reduced to."""

DROPOUT, BATCH, RATE, DECAY = 0.15, 256, 1.5e-3, 0.02
"""Dropout rate, rows per step, learning rate of AdamW, and its weight decay."""

MOST_STEPS, MOST_EPOCHS = 2500, 100
"""Most optimiser steps, and most passes."""

PATIENCE, LEAST_PATIENCE, PATIENT_STEPS = 6, 3, 250
"""Evaluations without improvement after which training stops: one after each pass, so fewer of long passes, as few as
take so many steps, in which the average of the weights forgets what it was."""

AVERAGE = 0.995
"""Weight of the old value in the moving average of the weights, which is what predicts."""

CHUNK = 2048
"""Rows predicted at a time."""


class Networks(nn.Module):
    """K networks side by side.

    Args:
        count: K.
        sizes: of the raw columns; None where they are not read.
        n_components: of the embedding; 0 where it is not read.
        d_out: outputs of each.
        bends: whether numbers pass through periodic functions.
        drawn: draw initial weights; otherwise they are 0 until others are assigned. Not weights on torch's device
            "meta", whose operations import torch's compiler, which takes seconds.

    Shape:
        numbers [K, B, n], others [K, B, F] -> [K, B, d_out]
    """

    def __init__(
        self, *, count: int, sizes: TableSizes | None, n_components: int, d_out: int, bends: bool, drawn: bool = True
    ) -> None:
        super().__init__()
        n_numeric, cardinalities = (0, []) if sizes is None else (sizes.n_numeric, sizes.cardinalities)
        bent = n_numeric if bends else 0
        width = bent * BENT + 2 * n_numeric + sum(cardinalities) + n_components
        normal = torch.randn if drawn else torch.zeros
        self.frequency = nn.Parameter(normal(count, bent, FREQUENCIES) * 0.3)
        self.bend = nn.Parameter(normal(count, 2 * FREQUENCIES, BENT) / (2 * FREQUENCIES) ** 0.5)
        widths = (width, WIDTH, WIDTH, d_out)
        self.weights = nn.ParameterList(
            normal(count, before, after) * (2 / before) ** 0.5 for before, after in pairwise(widths)
        )
        self.biases = nn.ParameterList(torch.zeros(count, 1, after) for after in widths[1:])

    def forward(self, numbers: Tensor, others: Tensor) -> Tensor:
        first, *weights = self.weights
        bias, *biases = self.biases
        n_bent = self.frequency.shape[1] * BENT
        # Apart from what periodic functions make of numbers: the other inputs need no gradient.
        x = torch.baddbmm(bias, torch.cat([numbers, others], dim=2), first[:, n_bent:])  # [K, B, h]
        if n_bent:
            x = torch.baddbmm(x, self._bent(numbers), first[:, :n_bent])
        for weight, bias in zip(weights, biases, strict=True):
            x = torch.baddbmm(bias, self._dropped(F.relu(x)), weight)
        return x

    def _dropped(self, x: Tensor) -> Tensor:
        """Dropout of [K, B, h], of the same places in all networks, which see other rows: draws take long."""
        if not self.training:
            return x
        return x * F.dropout(torch.ones_like(x[:1]), DROPOUT)

    def _bent(self, numbers: Tensor) -> Tensor:
        """What periodic functions make of numbers [K, B, n], [K, B, 6 n]."""
        angle = 2 * torch.pi * numbers[..., None] * self.frequency[:, None]  # [K, B, n, f]
        waves = torch.cat([angle.sin(), angle.cos()], dim=-1)  # [K, B, n, 2 f]
        return F.relu(waves.flatten(1, 2) @ self.bend).view(*numbers.shape[:2], numbers.shape[2] * BENT)


@dataclass(frozen=True)
class MLPHead:
    """An ensemble of networks: the mean of their probabilities, or of their values.

    Attributes:
        networks: K of them, in evaluation mode.
        features: what they read.
        sizes: of the table.
        components: of the embedding; None where only raw columns are read.
        n_classes: C, or 0 for regression.
        center: of the label of a regression.
        spread: of the label of a regression.
    """

    networks: Networks
    features: FEATURES
    sizes: TableSizes
    components: Components | None
    n_classes: int
    center: float = 0.0
    spread: float = 1.0

    @property
    def kind(self) -> HEAD:
        """Mlp."""
        return "mlp"

    @torch.inference_mode()
    def each(self, rows: HeadRows) -> Tensor:
        """Log-probabilities float64 [K, N, C] of every network, or values [K, N, 1]."""
        numbers, others = network_inputs(rows, self.features, self.sizes, self.components)
        count, parts = len(self.networks.frequency), []
        for start in range(0, max(len(numbers), 1), CHUNK):
            chunk = (x[start : start + CHUNK].expand(count, -1, -1) for x in (numbers, others))
            parts.append(self.networks(*chunk).double())
        output = torch.cat(parts, dim=1)
        return output.log_softmax(-1) if self.n_classes else output * self.spread + self.center

    def outputs(self, rows: HeadRows) -> Tensor:
        """Logits float64 [N, C], or values [N, 1]."""
        each = self.each(rows)
        return each.logsumexp(0) - np.log(len(each)) if self.n_classes else each.mean(0)

    def tensors(self) -> dict[str, Tensor]:
        """Weights and components."""
        components = (
            {} if self.components is None else {"center": self.components.center, "basis": self.components.basis}
        )
        return components | {f"networks.{name}": value for name, value in self.networks.state_dict().items()}

    def facts(self) -> dict[str, Any]:
        """Number of classes, and the scale of the label."""
        return {"n_classes": self.n_classes, "center": self.center, "spread": self.spread}


def network_inputs(
    rows: HeadRows, features: FEATURES, sizes: TableSizes, components: Components | None
) -> tuple[Tensor, Tensor]:
    """Numbers [N, n], and the rest [N, F]: whether they are observed, categories, components of the embedding."""
    numeric, codes = rows.table.blanked()
    others: list[Tensor] = []
    if features == "embedding":
        numeric = numeric[:, :0]
    else:
        others.append(rows.table.observed[:, : sizes.n_numeric].float())
        others += [F.one_hot(codes[:, j], size).float() for j, size in enumerate(sizes.cardinalities)]
    if features != "raw" and components is not None:
        others.append(components(rows.flat))
    return numeric, torch.cat(others, dim=1)


def fit_mlp(
    rows: HeadRows,
    labels: Tensor,
    features: FEATURES,
    components: Components | None,
    *,
    sizes: TableSizes,
    n_classes: int,
    folds: NDArray[np.int64],
    seed: int,
) -> MLPHead:
    """Trains one network per fold on the other folds.

    Args:
        rows: training rows.
        labels: class numbers or values [N].
        features: what to read.
        components: of the embedding.
        sizes: of the table.
        n_classes: C, or 0 for regression.
        folds: fold of each row [N], from 0.
        seed: of weights, order and dropout.
    """
    read = None if features == "raw" else components
    wide = labels.double()
    center, spread = (0.0, 1.0) if n_classes else (float(wide.mean()), float(wide.std(correction=0)) or 1.0)
    y = labels.long() if n_classes else ((wide - center) / spread).float()
    inputs = network_inputs(rows, features, sizes, read)
    numbers = [fold for fold in np.unique(folds) if (folds != fold).any()] or [-1]
    with initial_weights(seed):
        networks = Networks(
            count=len(numbers), sizes=None if features == "embedding" else sizes,
            n_components=0 if read is None else read.basis.shape[1], d_out=n_classes or 1,
            bends=sizes.n_numeric < WIDE_FEATURES,
        ).to(labels.device)  # fmt: skip
        _train(networks, inputs, y, [folds == number for number in numbers], np.random.default_rng([seed, 36]))
    return MLPHead(networks.eval(), features, sizes, read, n_classes, center, spread)


def _train(
    networks: Networks, inputs: tuple[Tensor, Tensor], y: Tensor, held: list[NDArray[np.bool_]],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Trains every network on the rows it does not hold out, and leaves the average of its best evaluation in it."""
    optimizer = AdamW(networks.parameters(), lr=RATE, weight_decay=DECAY, fused=y.device.type == "cpu")
    average = {name: value.detach().clone() for name, value in networks.state_dict().items()}
    best, losses = {name: value.clone() for name, value in average.items()}, np.full(len(held), np.inf)
    learned = [np.flatnonzero(~mask) for mask in held]
    steps = max(1, min(map(len, learned)) // BATCH)
    patience = min(PATIENCE, max(LEAST_PATIENCE, math.ceil(PATIENT_STEPS / steps)))
    waited = np.zeros(len(held), dtype=np.int64)
    for number in range(max(1, min(MOST_EPOCHS, MOST_STEPS // steps))):
        # An order for every network, of equally many rows: those left over sit out this pass.
        most = min(steps * BATCH, *map(len, learned))
        orders = np.stack([rng.permutation(part)[:most] for part in learned])  # [K, rows]
        batches = [torch.from_numpy(batch).to(y.device) for batch in np.array_split(orders, steps, axis=1)]
        _pass(networks, optimizer, average, inputs, y, batches=batches, done=number * steps)
        found = _held_losses(networks, average, inputs, y, held)
        better = torch.from_numpy(found < losses).to(y.device)
        losses, waited = np.minimum(losses, found), np.where(found < losses, 0, waited + 1)
        for name, value in best.items():
            value[better] = average[name][better]
        if (waited >= patience).all():
            break
    networks.load_state_dict(best)


def _pass(
    networks: Networks,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    inputs: tuple[Tensor, Tensor],
    y: Tensor,
    *,
    batches: list[Tensor],
    done: int,
) -> None:
    """One step per batch of row numbers [K, B]; the average of the weights follows.

    Args:
        networks: K of them.
        optimizer: of their weights.
        average: of the weights, by name; changed in place.
        inputs: of all rows.
        y: labels [N].
        batches: row numbers.
        done: steps before these.
    """
    networks.train()
    state = networks.state_dict(keep_vars=True)
    for step, index in enumerate(batches, start=done + 1):
        output = networks(*(x[index] for x in inputs))
        loss = _loss(output, y[index]).mean(1).sum()  # networks share nothing: the sum's gradient is that of each
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        keep = min(AVERAGE, (1 + step) / (10 + step))  # at first the average follows closely
        with torch.no_grad():
            for name, value in state.items():
                average[name].lerp_(value, 1 - keep)


@torch.no_grad()
def _held_losses(
    networks: Networks, average: dict[str, Tensor], inputs: tuple[Tensor, Tensor], y: Tensor,
    held: list[NDArray[np.bool_]],
) -> NDArray[np.float64]:  # fmt: skip
    """Mean loss [K] of the averaged networks on the rows that each holds out; of all rows where it holds out none."""
    networks.eval()
    losses = []
    for number, mask in enumerate(held):
        one = {name: value[number : number + 1] for name, value in average.items()}
        index = torch.from_numpy(np.flatnonzero(mask if mask.any() else ~mask)).to(y.device)
        total = 0.0
        for part in index.split(CHUNK):
            output = torch.func.functional_call(networks, one, tuple(x[part][None] for x in inputs))
            total += float(_loss(output, y[part][None]).sum())
        losses.append(total / max(len(index), 1))
    return np.array(losses)


def _loss(output: Tensor, y: Tensor) -> Tensor:
    """Log loss, or squared error, of outputs [K, B, C] for labels [K, B]: [K, B]."""
    if y.is_floating_point():
        return (output[..., 0] - y).square()
    return F.cross_entropy(output.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)
