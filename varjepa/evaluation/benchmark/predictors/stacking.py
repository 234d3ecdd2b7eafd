"""Turns several modules of one build into one module that computes all of them at once.

Every leaf with parameters is replaced by a counterpart whose parameters have a leading run axis; everything between
the leaves (a residual, a reshape, a ReLU) stays the code of the original, because the runs are folded into the batch:
inputs and outputs are [R B, ...], run by run. Unlike `torch.func.vmap` this lets custom autograd
functions run as they are, and every run draw its dropout from its own stream: none depends on those beside it.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from varjepa.nn.random import StackedRandomness

Module = TypeVar("Module", bound=nn.Module)

LEVELS = 256
"""Steps of a dropout rate: one random byte decides about one number."""


class Streams:
    """Where the dropout of a stack comes from; the trainer puts new streams here every epoch.

    Attributes:
        random: one stream per run.
    """

    def __init__(self, random: StackedRandomness) -> None:
        self.random = random

    def keep(self, shape: Sequence[int], rate: float) -> Tensor:
        """Factors of dropout: 0 with probability `rate` (rounded to 1/256), otherwise what keeps the expectation.

        Args:
            shape: of the result; the first axis is R B, run by run.
            rate: in [0, 1).
        """
        dropped = min(round(rate * LEVELS), LEVELS - 1)  # bytes below this drop their number
        count = torch.Size(shape).numel() // len(self.random.runs)
        draws = []
        for run in self.random.runs:
            generator = run.device
            # One random 64-bit word decides about eight numbers.
            words = torch.empty(-(-count // 8), dtype=torch.int64, device=generator.device)
            draws.append(words.random_(-(2**63), None, generator=generator).view(torch.uint8)[:count] >= dropped)
        return torch.cat(draws).float().mul_(LEVELS / (LEVELS - dropped)).view(*shape)


class StackedLinear(nn.Module):
    """One linear map per run; [R B, ..., d_in] -> [R B, ..., d_out]."""

    def __init__(self, layers: Sequence[nn.Linear], _: Streams) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().T for layer in layers]).contiguous())
        self.bias = None
        if layers[0].bias is not None:
            self.bias = nn.Parameter(torch.stack([layer.bias.detach()[None] for layer in layers]))

    def forward(self, x: Tensor, outputs: slice = slice(None)) -> Tensor:
        weight = self.weight[:, :, outputs]  # [R, d_in, d_out]
        rows = x.reshape(len(weight), -1, x.shape[-1])  # [R, B ..., d_in]
        out = torch.bmm(rows, weight) if self.bias is None else torch.baddbmm(self.bias[:, :, outputs], rows, weight)
        return out.view(*x.shape[:-1], weight.shape[2])


class StackedLayerNorm(nn.Module):
    """Normalisation over the last axis, with scales and shifts per run; any [R B, ..., d]."""

    def __init__(self, layers: Sequence[nn.LayerNorm], _: Streams) -> None:
        super().__init__()
        self.eps = layers[0].eps
        self.weight = nn.Parameter(torch.stack([layer.weight.detach()[None] for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach()[None] for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        # Moments need no run axis; only scales and shifts differ between runs.
        normed = F.layer_norm(x, x.shape[-1:], eps=self.eps).view(len(self.weight), -1, x.shape[-1])
        return torch.addcmul(self.bias, normed, self.weight).view(x.shape)


class StackedBatchNorm(nn.Module):
    """Batch normalisation of every run by itself; [R B, d] -> [R B, d]."""

    mean: Tensor
    var: Tensor

    def __init__(self, layers: Sequence[nn.BatchNorm1d], _: Streams) -> None:
        super().__init__()
        self.eps, self.momentum = layers[0].eps, layers[0].momentum or 0.0
        self.weight = nn.Parameter(torch.stack([layer.weight.detach()[None] for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach()[None] for layer in layers]))
        self.register_buffer("mean", torch.zeros_like(self.weight.data))
        self.register_buffer("var", torch.ones_like(self.weight.data))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.view(len(self.weight), -1, x.shape[-1])  # [R, B, d]
        # A batch of one row has no spread of its own; it is normalised as in evaluation.
        if self.training and rows.shape[1] > 1:
            var, mean = torch.var_mean(rows, dim=1, keepdim=True, correction=0)
            with torch.no_grad():
                self.mean.lerp_(mean, self.momentum)
                # As torch does: the batch is normalised by its own variance, and the unbiased one is remembered.
                self.var.lerp_(var * (rows.shape[1] / (rows.shape[1] - 1)), self.momentum)
        else:
            var, mean = self.var, self.mean
        scale = self.weight * (var + self.eps).rsqrt()  # [R, 1, d]; both steps become one product and one sum
        return torch.addcmul(self.bias - mean * scale, rows, scale).view(x.shape)


class StackedDropout(nn.Module):
    """Dropout of any [R B, ...], run r from its own stream."""

    def __init__(self, layers: Sequence[nn.Dropout], streams: Streams) -> None:
        super().__init__()
        self.rate, self.streams = layers[0].p, streams

    def forward(self, x: Tensor) -> Tensor:
        return x * self.streams.keep(x.shape, self.rate) if self.training and self.rate > 0 else x


Leaf = Callable[[Sequence, Streams], nn.Module]

LEAVES: dict[type[nn.Module], Leaf] = {
    nn.Linear: StackedLinear,
    nn.LayerNorm: StackedLayerNorm,
    nn.BatchNorm1d: StackedBatchNorm,
    nn.Dropout: StackedDropout,
}
"""Counterpart of every kind of leaf; `stacked` lets a module bring its own."""


def stack_modules(modules: Sequence[Module], streams: Streams, leaves: dict[type[nn.Module], Leaf]) -> nn.Module:
    """One module for all runs. The first of `modules` is taken apart for it.

    Args:
        modules: R modules of one build, with the initial weights of their runs.
        streams: where dropout draws from.
        leaves: counterparts of modules, by their type.

    Returns:
        a module from [R B, ...] to [R B, ...].

    Raises:
        TypeError: if a module without a counterpart has parameters of its own.
    """
    first = modules[0]
    if type(first) in leaves:
        return leaves[type(first)](modules, streams)
    if any(True for _ in first.parameters(recurse=False)):
        raise TypeError(f"{type(first).__name__} has parameters of its own and no stacked counterpart")
    # Not a leaf: its own code stays, and its children are replaced by stacks of the same child of all runs.
    for name, _ in list(first.named_children()):
        first.add_module(name, stack_modules([getattr(module, name) for module in modules], streams, leaves))
    return first
