"""Muon: an optimiser that moves a matrix equally far in every direction of its space.

The gradient of a matrix of a transformer is dominated by few directions. Adam scales each number by itself and keeps
these few; Muon replaces the averaged gradient by the nearest matrix with equal singular values, so that rare directions
are learned as fast. The generator and the encoder need half the steps by it (docs/measured/generation.md,
docs/measured/sizes.md).

References:
    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
    Liu et al., "Muon is scalable for LLM training", 2025 (arXiv 2502.16982): the length of a step.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from varjepa.nn.decay import Parameters
from varjepa.nn.optimizers import AdamW, outside_the_compiler

MOMENTUM = 0.9
"""Weight of earlier gradients in their moving average."""

ITERATIONS = 4
"""Of `equalised`. Three cost 0.1 to 0.4% of the generator's loss on hidden cells, five gain nothing."""

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial a s + b s^3 + c s^5 that one iteration applies to every singular value s: Jordan et al., chosen for
a steep rise at 0. Singular values end between about 0.7 and 1.2, which is near enough."""

RMS = 0.2
"""Root of the mean square of a step's numbers at a learning rate of 1, about that of AdamW (Liu et al., section 2.2):
the same learning rates suit both."""


def equalised(matrices: Tensor) -> Tensor:
    """Matrices [..., n, m] with the singular vectors of the given ones and singular values near 1, by Newton-Schulz.

    Singular values far below the largest one stay smaller; a matrix of zeros stays one.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices  # the products below are as large as the smaller axis
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.mT if tall else x


@outside_the_compiler
class Muon(torch.optim.Optimizer):
    """Momentum whose steps `equalised` turns into equal ones in every direction, with decoupled weight decay.

    Matrices of equal shape are computed together: a row of a table has small ones, of which each would mostly wait for
    the next call.

    Args:
        matrices: parameters [n, m], or [k, n, m] for k matrices that do not share inputs.
        lr: learning rate, > 0; a group's may be a tensor on the GPU.
        weight_decay: >= 0.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    def step(self) -> None:  # type: ignore[override]  # no closure: nothing here evaluates the loss again
        """Moves every matrix that has a gradient."""
        for group in self.param_groups:
            alike = defaultdict[torch.Size, list[nn.Parameter]](list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike[matrix.shape].append(matrix)
            for matrices in alike.values():
                self._move(matrices, group["lr"], group["weight_decay"])

    def _move(self, matrices: Sequence[nn.Parameter], lr: float | Tensor, weight_decay: float) -> None:
        """Moves matrices of equal shape by their gradients."""
        ahead = torch.stack([self._ahead(matrix, matrix.grad) for matrix in matrices if matrix.grad is not None])
        steps = equalised(ahead) * (lr * RMS * max(ahead.shape[-2:]) ** 0.5)
        for matrix, step in zip(matrices, steps.unbind(), strict=True):
            matrix.mul_(1 - lr * weight_decay).sub_(step)

    def _ahead(self, matrix: nn.Parameter, gradient: Tensor) -> Tensor:
        """The average of the gradients where the next step would find it (Nesterov), in the shape of the matrix."""
        state = self.state[matrix]
        if not state:
            state["average"] = torch.zeros_like(matrix)
        average: Tensor = state["average"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(average, MOMENTUM)


class MuonAdamW:
    """Muon for the matrices of linear maps, AdamW for everything else, with the same learning rate.

    Args:
        network: its parameters without a gradient are left out.
        lr: learning rate, > 0.
        weight_decay: of the matrices, >= 0.
        capturable: keep AdamW's counts of steps on the GPU, as CUDA graphs need them.
    """

    def __init__(self, network: nn.Module, *, lr: float, weight_decay: float, capturable: bool = False) -> None:
        matrices, others = Parameters.of(network)
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(Muon(matrices, lr=lr, weight_decay=weight_decay))
        if others:
            self.parts.append(AdamW(others, lr=lr, weight_decay=0.0, fused=True, capturable=capturable))

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of parameters, whose learning rates may be set."""
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Removes gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=set_to_none)

    def step(self) -> None:
        """Moves every parameter that has a gradient."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """What a checkpoint keeps."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, state: Sequence[dict[str, Any]]) -> None:
        """Goes on from `state_dict`."""
        for part, kept in zip(self.parts, state, strict=True):
            part.load_state_dict(kept)
