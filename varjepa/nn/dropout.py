"""Dropout whose cost is proportional to what it drops.

Positions are hit by Poisson(-log(1 - p) * n) darts thrown uniformly with replacement: an element then survives with
probability exactly 1 - p, independently of all others. At the published rates of about 0.001 this draws a thousandth of
the random numbers that a full mask needs, and touches a thousandth of the elements.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from varjepa.nn.random import Randomness


class _ZeroAt(torch.autograd.Function):
    """Zeroes flat positions in place; the backward pass zeroes the same positions of the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.mark_dirty(x)
        x.view(-1).index_fill_(0, index, 0.0)
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return grads[0].flatten().index_fill(0, index, 0.0).view_as(grads[0]), None


def drop_(x: Tensor, rate: float, random: Randomness | None) -> Tensor:
    """Zeroes each element with probability `rate`, in place and without rescaling (see `keep_scale`).

    Args:
        x: any shape, contiguous; must not be needed by the backward pass of what made it.
        rate: in [0, 1).
        random: None drops nothing.
    """
    if random is None or rate == 0.0:
        return x
    return _ZeroAt.apply(x, positions(x.numel(), rate, random, x.device))


@torch.no_grad()
def drop_before_relu_(x: Tensor, rate: float, random: Randomness | None) -> Tensor:
    """As `drop_`, for the input of a ReLU: its own backward pass stops the gradient wherever its output is 0."""
    if random is not None and rate > 0.0:
        x.view(-1).index_fill_(0, positions(x.numel(), rate, random, x.device), 0.0)
    return x


def positions(size: int, rate: float, random: Randomness, device: torch.device) -> Tensor:
    """Flat positions, int64 [drops], that are hit among `size` numbers, rows first."""
    if random.share is None:
        return _darts(size, rate, random, device)
    rows, total = random.share
    per_row = size // (rows.stop - rows.start)
    hit = _darts(per_row * total, rate, random, device) - rows.start * per_row
    return hit[(hit >= 0) & (hit < size)]


def _darts(size: int, rate: float, random: Randomness, device: torch.device) -> Tensor:
    # The count is drawn on the host, so that a GPU never waits for it.
    count = int(random.host.poisson(-np.log1p(-rate) * size))
    return torch.randint(size, (count,), device=device, generator=random.device)


def keep_scale(rate: float) -> float:
    """What survivors are multiplied by so that expectations stay: 1 / (1 - rate)."""
    return 1.0 / (1.0 - rate)
