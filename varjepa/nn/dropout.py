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


def zero_(x: Tensor, index: Tensor | None) -> Tensor:
    """Zeroes flat positions (None: none), in place but under `torch.compile`, which decides that itself.

    Args:
        x: any shape, contiguous; must not be needed by the backward pass of what made it.
        index: of `positions`.
    """
    if index is None:
        return x
    if torch.compiler.is_compiling():
        return x.flatten().index_fill(0, index, 0.0).view_as(x)
    return _ZeroAt.apply(x, index)


def zero_before_relu_(x: Tensor, index: Tensor | None) -> Tensor:
    """As `zero_`, for the input of a ReLU: its own backward pass stops the gradient wherever its output is 0."""
    if index is None or torch.compiler.is_compiling():
        return zero_(x, index)
    with torch.no_grad():
        x.view(-1).index_fill_(0, index, 0.0)
    return x


def positions(size: int, rate: float, random: Randomness, device: torch.device, times: int) -> list[Tensor]:
    """Flat positions, int64 [drops] each, that are hit among `size` numbers, rows first, in independent draws."""
    if random.share is None:
        return _darts(size, rate, random, device, times)
    rows, total = random.share
    per_row = size // (rows.stop - rows.start)
    first = rows.start * per_row
    all_rows = _darts(per_row * total, rate, random, device, times)
    return [hit[(hit >= first) & (hit < first + size)] - first for hit in all_rows]


def _darts(size: int, rate: float, random: Randomness, device: torch.device, times: int) -> list[Tensor]:
    # Counts are drawn on the host, so that a device never waits for them. A GPU replays steps of one shape, so there
    # they are the expected one: an element survives with the same probability, up to the rounding of the count.
    expected = -np.log1p(-rate) * size
    on_cpu = device.type == "cpu"
    counts = random.host.poisson(expected, times).tolist() if on_cpu else [round(expected)] * times
    return list(torch.randint(size, (sum(counts),), device=device, generator=random.device).split(counts))


def keep_scale(rate: float) -> float:
    """What survivors are multiplied by so that expectations stay: 1 / (1 - rate)."""
    return 1.0 / (1.0 - rate)
