"""Layers of several independent runs at once: a leading run axis, one batched matrix product for all runs."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from varjepa.nn.gaussian import DiagonalGaussian, bounded_logvar
from varjepa.nn.random import StackedRandomness


class StackedLinear(nn.Module):
    """One linear map per run; run r of a stack learns what it would learn alone.

    Args:
        d_in: width of the input.
        d_out: width of the output.
        random: initial weights of run r come from its own stream.

    Shape:
        [R, B, d_in] -> [R, B, d_out]
    """

    matrices = ("weight",)

    def __init__(self, *, d_in: int, d_out: int, random: StackedRandomness) -> None:
        super().__init__()
        bound = d_in**-0.5  # uniform in +-1 / sqrt(d_in), as nn.Linear starts
        self.weight = nn.Parameter((2 * random.uniform(d_in, d_out) - 1) * bound)
        self.bias = nn.Parameter((2 * random.uniform(1, d_out) - 1) * bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class StackedMLP(nn.Module):
    """Linear maps with ReLU between them.

    Args:
        d_in: width of the input.
        d_hidden: width of the hidden layers.
        n_layers: number of hidden layers; 0 makes it linear.
        d_out: width of the output.
        random: of the initial weights.

    Shape:
        [R, B, d_in] -> [R, B, d_out]
    """

    def __init__(self, *, d_in: int, d_hidden: int, n_layers: int, d_out: int, random: StackedRandomness) -> None:
        super().__init__()
        widths = [d_in, *[d_hidden] * n_layers, d_out]
        self.layers = nn.ModuleList(StackedLinear(d_in=a, d_out=b, random=random) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class StackedGaussian(nn.Module):
    """An MLP to the mean and log-variance of a `DiagonalGaussian`.

    Args:
        d_in: width of the input.
        d_hidden: width of the hidden layers.
        n_layers: number of hidden layers.
        d_out: width of the Gaussian.
        random: of the initial weights.

    Shape:
        [R, B, d_in] -> DiagonalGaussian [R, B, d_out]
    """

    def __init__(self, *, d_in: int, d_hidden: int, n_layers: int, d_out: int, random: StackedRandomness) -> None:
        super().__init__()
        self.mlp = StackedMLP(d_in=d_in, d_hidden=d_hidden, n_layers=n_layers, d_out=2 * d_out, random=random)

    def forward(self, x: Tensor) -> DiagonalGaussian:
        mean, logvar = self.mlp(x).chunk(2, dim=-1)
        return DiagonalGaussian(mean, bounded_logvar(logvar))


class StackedDecoder(nn.Module):
    """An MLP to the mean of a Gaussian whose noise is one learned number per run (sigma_x and sigma_y in eq. 9-10).

    Args:
        d_in: width of the latent.
        d_hidden: width of the hidden layers.
        n_layers: number of hidden layers.
        d_out: width of the observation.
        random: of the initial weights.

    Shape:
        [R, B, d_in] -> DiagonalGaussian [R, B, d_out]
    """

    def __init__(self, *, d_in: int, d_hidden: int, n_layers: int, d_out: int, random: StackedRandomness) -> None:
        super().__init__()
        self.mlp = StackedMLP(d_in=d_in, d_hidden=d_hidden, n_layers=n_layers, d_out=d_out, random=random)
        self.logvar = nn.Parameter(torch.zeros(len(random.runs), 1, 1))  # broadcasts over [R, B, d_out]

    def forward(self, latent: Tensor) -> DiagonalGaussian:
        mean = self.mlp(latent)
        return DiagonalGaussian(mean, bounded_logvar(self.logvar).expand_as(mean))
