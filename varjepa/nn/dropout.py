"""Dropout whose cost is proportional to the number of elements it drops.

Poisson(-log(1 - p) * n) positions are drawn uniformly with replacement: an element then survives with probability
exactly 1 - p, independently of all others. At the published rates of about 0.001 this draws a thousandth of the random
numbers that a full mask needs, and touches a thousandth of the elements.
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
        # A copy, not in place: autograd may hand the same gradient tensor to other operations.
        return grads[0].flatten().index_fill(0, index, 0.0).view_as(grads[0]), None


def zero_(x: Tensor, index: Tensor | None) -> Tensor:
    """Zeroes flat positions (None: none); in place, except under `torch.compile`, which decides that itself.

    Args:
        x: any shape, contiguous; must not be needed by the backward pass of the operation that made it.
        index: from `positions`.
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
    # Hidden from autograd, which saves a node and a copy of the gradient in the backward pass.
    with torch.no_grad():
        x.view(-1).index_fill_(0, index, 0.0)
    return x


def positions(size: int, rate: float, random: Randomness, device: torch.device, times: int) -> list[Tensor]:
    """Flat positions to drop among `size` numbers, rows first: `times` independent draws, int64 [drops] each."""
    if random.share is None:
        return _drawn(size, rate, random, device, times)
    # Drawn for all rows of the batch, so that a row loses the same elements whoever computes it.
    rows, total = random.share.rows, random.share.total
    per_row = size // (rows.stop - rows.start)  # elements of a row
    first = rows.start * per_row
    all_rows = random.share.drawn(lambda: _drawn(per_row * total, rate, random, device, times))
    return [drops[(drops >= first) & (drops < first + size)] - first for drops in all_rows]


def _drawn(size: int, rate: float, random: Randomness, device: torch.device, times: int) -> list[Tensor]:
    # Counts are drawn on the host, so that a device never waits for them. A GPU replays steps of one shape, so there
    # the expected count is used: an element survives with the same probability, up to the rounding of the count.
    expected = -np.log1p(-rate) * size
    on_cpu = device.type == "cpu"
    counts = random.host.poisson(expected, times).tolist() if on_cpu else [round(expected)] * times
    return list(torch.randint(size, (sum(counts),), device=device, generator=random.device).split(counts))


def keep_scale(rate: float) -> float:
    """Factor on survivors that keeps expectations: 1 / (1 - rate)."""
    return 1.0 / (1.0 - rate)
