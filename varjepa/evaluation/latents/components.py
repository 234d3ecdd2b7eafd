"""Principal components of embeddings."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from varjepa.nn.random import initial_weights

MOST_EXACT = 1024
"""Rows or dimensions, whichever are fewer, up to which the decomposition is exact. It then takes a quarter of the time
of the randomised one, whose last directions are 7% off; at twice as many it would take four times as long."""

POWER_ITERATIONS = 4
"""Of the randomised decomposition; the more, the more exact are its last directions."""

NEGLIGIBLE = 1e-3
"""Deviation, as a share of the largest, below which a direction is not stretched further: 32-bit embeddings differ by
rounding from one batch size to another, and what is stretched by more would show it."""


class PrincipalComponents(NamedTuple):
    """Directions along which rows vary most.

    Attributes:
        center: mean of the rows [F].
        basis: orthonormal directions in columns [F, K], the one of largest variance first.
        deviations: standard deviation of the rows along each of them [K].
    """

    center: Tensor
    basis: Tensor
    deviations: Tensor

    @property
    def whitening(self) -> Tensor:
        """The directions [F, K] divided by their deviations, so that all have the same; negligible ones have less."""
        least = max(1e-6, NEGLIGIBLE * max(self.deviations.tolist(), default=0.0))
        return self.basis / self.deviations.clamp(min=least)

    def project(self, x: Tensor, count: int) -> Tensor:
        """Coordinates of rows [N, F] along the first `count` directions, [N, count]; 0 where there are fewer."""
        points = (x - self.center) @ self.basis[:, :count]  # [N, min(count, K)]
        return F.pad(points, (0, count - points.shape[1]))


def principal_components(x: Tensor, count: int, *, seed: int) -> PrincipalComponents:
    """The first principal components of rows; exact, or by a randomised singular value decomposition (`MOST_EXACT`).

    Args:
        x: rows, float32 [N, F].
        count: of directions; fewer where there are fewer rows or dimensions. The last ones are the least exact.
        seed: of a randomised decomposition.

    Returns:
        K = min(count, N, F) directions.

    Examples:
        >>> line = torch.arange(10.0)[:, None] * torch.tensor([3.0, 4.0])
        >>> [round(abs(float(part)), 3) for part in principal_components(line, 1, seed=0).basis[:, 0]]
        [0.6, 0.8]
    """
    center, count = x.mean(0), min(count, *x.shape)
    decompose = _exact if min(x.shape) <= MOST_EXACT else _randomised
    values, basis = decompose(x - center, count, seed)
    # A direction is as good as its opposite, and libraries differ: its largest part shall be positive.
    basis = basis * basis.gather(0, basis.abs().argmax(0, keepdim=True)).sign()
    return PrincipalComponents(center, basis, values / len(x) ** 0.5)


def _exact(x: Tensor, count: int, _: int) -> tuple[Tensor, Tensor]:
    """Singular values [K] and right singular vectors [F, K], from the products of rows or of dimensions.

    Products square the values; in 64 bits what is left of them is as exact as the 32 bits of the rows.
    """
    wide, x = x.shape[0] < x.shape[1], x.double()
    squares, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)  # the largest are the last
    values, vectors = squares.flip(0)[:count].clamp(min=0).sqrt(), vectors.flip(1)[:, :count]
    if wide:
        vectors = torch.linalg.qr(x.T @ vectors).Q  # also where a value is 0, and its product has no direction
    # In one piece, as a file will hold them: products of other layouts have other last digits.
    return values.float(), vectors.float().contiguous()


def _randomised(x: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    with initial_weights(seed):  # the decomposition draws from torch's one global generator
        _, values, basis = torch.svd_lowrank(x, q=count, niter=POWER_ITERATIONS)
    return values, basis
