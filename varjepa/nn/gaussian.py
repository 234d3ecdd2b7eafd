"""Diagonal Gaussians: every latent of the model, and the likelihood of numeric cells."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from varjepa.nn.random import NormalSource

LOG_2PI = math.log(2 * math.pi)
LOGVAR_RANGE = (-12.0, 6.0)
"""Log-variances that a head gives as they are: scales from 0.0025 to 20."""

LOGVAR_TAIL = 2.0
"""How far a log-variance may lie beyond `LOGVAR_RANGE`: scales from 0.0009 to 55 keep KLs finite in 32 bits."""


def widened(x: Tensor) -> Tensor:
    """At least 32 bits: what autocast computed in 16 bits is continued in 32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def in_full(device: torch.device) -> AbstractContextManager[object]:
    """A context without autocast, also on devices that have none."""
    available = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if available else nullcontext()


def bounded_logvar(raw: Tensor) -> Tensor:
    """The log-variance of a head: the identity within `LOGVAR_RANGE`, and a bounded, rising tail beyond it.

    At the distance u from the range the tail has come u / (1 + u / `LOGVAR_TAIL`) far. Its slope is never 0, so
    a gradient can bring any log-variance back. A clamp has the slope 0 there.
    """
    low, high = LOGVAR_RANGE
    if raw.device.type == "cpu" and raw.numel():
        smallest, largest = raw.detach().aminmax()
        if smallest >= low and largest <= high:  # nearly always, and the rest takes three times as long
            return raw
    inside = raw.clamp(low, high)
    beyond = raw - inside
    # Written so that the slope is a power, not the difference of two numbers that are equal in 32 bits.
    return inside + LOGVAR_TAIL * beyond.sign() * (1 - 1 / (1 + beyond.abs() / LOGVAR_TAIL))


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
        return DiagonalGaussian(mean, bounded_logvar(logvar))
