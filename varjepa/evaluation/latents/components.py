"""Principal components of embeddings."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from varjepa.nn.random import initial_weights

POWER_ITERATIONS = 4
"""Of the randomised decomposition; the more, the more exact are its last directions."""


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

    def project(self, x: Tensor, count: int) -> Tensor:
        """Coordinates of rows [N, F] along the first `count` directions, [N, count]; 0 where there are fewer."""
        points = (x - self.center) @ self.basis[:, :count]  # [N, min(count, K)]
        return F.pad(points, (0, count - points.shape[1]))


def principal_components(x: Tensor, count: int, *, seed: int) -> PrincipalComponents:
    """The first principal components of rows, by a randomised singular value decomposition.

    Args:
        x: rows, float32 [N, F].
        count: of directions; fewer where there are fewer rows or dimensions. The last ones are the least exact.
        seed: of the decomposition.

    Returns:
        K = min(count, N, F) directions.

    Examples:
        >>> line = torch.arange(10.0)[:, None] * torch.tensor([3.0, 4.0])
        >>> [round(abs(float(part)), 3) for part in principal_components(line, 1, seed=0).basis[:, 0]]
        [0.6, 0.8]
    """
    center = x.mean(0)
    with initial_weights(seed):  # the decomposition draws from torch's one global generator
        _, values, basis = torch.svd_lowrank(x - center, q=min(count, *x.shape), niter=POWER_ITERATIONS)
    return PrincipalComponents(center, basis, values / len(x) ** 0.5)
