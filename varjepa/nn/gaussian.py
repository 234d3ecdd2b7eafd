"""Diagonal Gaussians: every latent of the model, and the likelihood of numeric cells."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from varjepa.nn.random import NormalSource

LOG_2PI = math.log(2 * math.pi)
LOGVAR_RANGE = (-12.0, 6.0)
"""Bounds of a head's log-variance: scales from 0.0025 to 20 keep KLs finite in 32 bits."""


def widened(x: Tensor) -> Tensor:
    """At least 32 bits: what autocast computed in 16 bits is continued in 32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class DiagonalGaussian(NamedTuple):
    """N(mean, diag(exp(logvar))) over the last axis; `mean` and `logvar` have one shape, [..., d]."""

    mean: Tensor
    logvar: Tensor

    @property
    def var(self) -> Tensor:
        """Variances [..., d], > 0."""
        return self.logvar.exp()

    @property
    def scale(self) -> Tensor:
        """Standard deviations [..., d], > 0."""
        return (0.5 * self.logvar).exp()

    def sample(self, random: NormalSource) -> Tensor:
        """One reparameterised draw [..., d]; gradients reach mean and logvar."""
        return torch.addcmul(self.mean, self.scale, random.normal_like(self.mean))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density per dimension [..., d]; sum over the last axis for the joint."""
        return -0.5 * ((value - self.mean).square() * (-self.logvar).exp() + self.logvar + LOG_2PI)

    def kl(self, other: "DiagonalGaussian") -> Tensor:
        """KL(self, other) per dimension [..., d], closed form, >= 0."""
        mean_term = (self.mean - other.mean).square() * (-other.logvar).exp()
        log_ratio = self.logvar - other.logvar
        return 0.5 * (log_ratio.exp() + mean_term - 1 - log_ratio)

    def kl_standard(self) -> Tensor:
        """KL(self, N(0, I)) per dimension [..., d], closed form, >= 0."""
        return 0.5 * (self.mean.square() + self.logvar.exp() - 1 - self.logvar)


class GaussianHead(nn.Module):
    """Two linear maps, fused into one, to the mean and log-variance of a `DiagonalGaussian`.

    Args:
        d_in: width of the input.
        d_out: width of the Gaussian.
        init_logvar: log-variance at initialisation; below 0 so that early samples carry signal.

    Shape:
        [..., d_in] -> DiagonalGaussian [..., d_out]
    """

    def __init__(self, *, d_in: int, d_out: int, init_logvar: float = -3.0) -> None:
        super().__init__()
        self.linear = nn.Linear(d_in, 2 * d_out)
        # The first d_out outputs are means, the others log-variances, as `chunk` reads them below.
        nn.init.zeros_(self.linear.bias)
        nn.init.constant_(self.linear.bias[d_out:], init_logvar)

    def forward(self, hidden: Tensor) -> DiagonalGaussian:
        mean, logvar = widened(self.linear(hidden)).chunk(2, dim=-1)
        return DiagonalGaussian(mean, logvar.clamp(*LOGVAR_RANGE))
