"""SIGReg: how far random projections of a latent are from N(0, 1) (eq. 2; LeJEPA, arXiv 2511.08544).

The characteristic function of the projections is compared with that of N(0, 1), exp(-t^2 / 2), at several frequencies.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_reduce

from varjepa.nn.random import Randomness

Weighting = Literal["epps_pulley", "flat"]

FINE = 8
"""Neighbouring frequencies that share one leap: 8 + F / 8 powers of a complex number replace F of them."""


@dataclass(frozen=True)
class Frequencies:
    """A grid from 0 to `largest`, both included."""

    count: int = 64
    largest: float = 5.0

    @property
    def step(self) -> float:
        """Distance of neighbours."""
        return self.largest / (self.count - 1)

    def grid(self, like: Tensor) -> Tensor:
        """The frequencies [F]."""
        return torch.arange(self.count, dtype=like.dtype, device=like.device) * self.step


def random_directions(d: int, count: int, random: Randomness) -> Tensor:
    """Unit vectors [count, d], uniform on the sphere. Processes that train together must draw the same ones."""
    directions = random.normal_like(torch.empty(count, d, device=random.device.device))
    return directions / directions.norm(dim=-1, keepdim=True)


def characteristic_errors(values: Tensor, frequencies: Frequencies) -> Tensor:
    """Squared distances |phi_n(t) - exp(-t^2 / 2)|^2 of the empirical characteristic function from that of N(0, 1).

    In data-parallel training phi_n is that of the rows of all processes, and the gradients that they average are those
    of one process with all rows.

    Shape:
        values [..., N] -> [..., F]
    """
    base = torch.polar(torch.ones_like(values), values * frequencies.step)  # exp(i t x) at the first t above 0
    fine = _powers(base, FINE)  # [..., 8, N]
    leaps = _powers(fine[..., -1, :] * base, -(-frequencies.count // FINE))  # powers of base^8, [..., F / 8, N]
    # Every frequency is a leap plus a fine step: one matrix product multiplies all pairs and sums over rows.
    total = (leaps @ fine.mT).flatten(-2)[..., : frequencies.count]  # [..., F]
    total, rows = _over_processes(torch.view_as_real(total), values.shape[-1])
    cos, sin = (total / rows).unbind(-1)  # real and imaginary part of phi_n; those of N(0, 1) are exp(-t^2 / 2) and 0
    return (cos - normal_characteristic(frequencies, values)).square() + sin.square()


def _powers(base: Tensor, count: int) -> Tensor:
    """1, b, b^2, ... of unit complex numbers [..., N] as [..., count, N]; far cheaper than as many sines."""
    powers = [torch.ones_like(base)]
    for _ in range(count - 1):
        powers.append(powers[-1] * base)
    return torch.stack(powers, dim=-2)


def _over_processes(total: Tensor, rows: int) -> tuple[Tensor, int]:
    """Sums over rows, and their number, of all processes that train together."""
    if not (dist.is_available() and dist.is_initialized()):
        return total, rows
    count = torch.tensor(rows, device=total.device)
    dist.all_reduce(count)
    # This one is differentiable: the plain all-reduce would cut the gradient.
    return all_reduce(total), int(count)


def normal_characteristic(frequencies: Frequencies, like: Tensor) -> Tensor:
    """exp(-t^2 / 2) at every frequency, [F]."""
    return (-0.5 * frequencies.grid(like).square()).exp()


def epps_pulley(errors: Tensor, frequencies: Frequencies) -> Tensor:
    """Integral over all t of the squared distances times exp(-t^2 / 2), by the trapezoid rule; times N the usual test.

    Shape:
        errors [..., F] -> [...]
    """
    weight = 2 * frequencies.step * normal_characteristic(frequencies, errors)  # both signs of t
    # Half weights: t = 0 has no mirror image, and the largest t is an end of the trapezoid rule.
    weight[0] /= 2
    weight[-1] /= 2
    return errors @ weight


def sigreg(
    latent: Tensor, directions: Tensor, frequencies: Frequencies, weighting: Weighting = "epps_pulley"
) -> Tensor:
    """Mean Epps-Pulley statistic of the projections, per row (not multiplied by N).

    Args:
        latent: [..., N, d].
        directions: unit vectors [..., K, d].
        frequencies: grid of the integral.
        weighting: of the frequencies; "flat" takes the plain mean of the squared distances instead.

    Returns:
        [...], >= 0; about sqrt(2 pi) (1 - 1 / sqrt(3)) / N where the latent is N(0, I), 0.82 / N if flat.
    """
    errors = characteristic_errors(directions @ latent.mT, frequencies)
    statistic = epps_pulley(errors, frequencies) if weighting == "epps_pulley" else errors.mean(-1)
    return statistic.mean(-1)
