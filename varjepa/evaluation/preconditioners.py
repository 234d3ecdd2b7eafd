"""Coordinates in which the inputs of a linear model are uncorrelated: its minimum is the same, the way to it shorter.

Embeddings have hundreds to tens of thousands of correlated inputs, for which L-BFGS or conjugate gradients take
hundreds of steps, or stop before they have converged. In coordinates that make the penalised covariance of the inputs
the identity they take a few dozen.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from varjepa.evaluation.latents.components import MOST_EXACT, principal_components

WIDEST = 4096
"""Inputs up to which the whole covariance is factorised, which takes their number to the third power."""

ROWS_PER_INPUT, PRODUCTS = 8, 2**30
"""Rows that the whole covariance comes from: so many per input, or as take so many products. It sets only the way to
the minimum, so a sample is enough; but of 184 raw columns, rare categories among them, 3,000 rows of 29,000 took four
times as many steps as all."""

LEADING = 128
"""Principal components that are told apart of wider inputs. Of 48,000 inputs of 9,000 rows, 64 took 8% more steps."""

Steps = Callable[[Tensor], Tensor]
"""Steps along the new coordinates [C, F] -> weights [C, F]."""


class Covariance(ABC):
    """What is known of the covariance of standardised inputs."""

    @abstractmethod
    def steps(self, curvature: float, l2: float) -> Steps | None:
        """The coordinates in which `curvature` times the covariance, plus `l2` times the identity, is the identity.

        Args:
            curvature: second derivative of the loss along an input of variance 1; 1 where the rows count by theirs.
            l2: penalty on the squared weights, halved; above 0.

        Returns:
            None where rounding forbids to find them.
        """


@dataclass(frozen=True)
class WholeCovariance(Covariance):
    """All second moments.

    Attributes:
        moments: float64 [F, F].
    """

    moments: Tensor

    def steps(self, curvature: float, l2: float) -> Steps | None:
        """By the factor of Cholesky."""
        identity = torch.eye(len(self.moments), dtype=torch.float64, device=self.moments.device)
        factor, failed = torch.linalg.cholesky_ex(curvature * self.moments + l2 * identity)
        if int(failed):
            return None
        axes = torch.linalg.solve_triangular(factor, identity, upper=False).float()  # [F, F]
        return lambda steps: steps @ axes


@dataclass(frozen=True)
class LeadingComponents(Covariance):
    """Variances along the first principal components; along all other directions that of the last of them.

    Attributes:
        basis: orthonormal directions, float32 [F, K].
        variances: along them, from large to small, float32 [K].

    References:
        Frangella, Tropp and Udell (2023), Randomized Nyström preconditioning: what few directions do for the rest.
    """

    basis: Tensor
    variances: Tensor

    def steps(self, curvature: float, l2: float) -> Steps:
        """By scaling each direction; the same matrix from both sides, so that applied twice it is the inverse."""
        scales = (curvature * self.variances + l2).rsqrt()  # [K]
        others = scales[-1]
        return lambda steps: others * steps + ((steps @ self.basis) * (scales - others)) @ self.basis.T


def is_whole(rows: int, width: int) -> bool:
    """Whether all second moments of so many inputs are computed."""
    return width <= min(rows, WIDEST)


def covariance_of(x: Tensor, curvature: Tensor | None = None) -> Covariance | None:
    """What a sample of the rows says of the covariance; None of no rows or no inputs.

    Args:
        x: standardised inputs, float32 [N, F].
        curvature: second derivative of the loss of each row along its output [N], by which the row then counts: the
            covariance is that of the loss. None where all rows count alike, and of inputs too wide for a whole one.
    """
    rows, width = x.shape
    if not rows or not width:
        return None
    if is_whole(rows, width):
        every = max(1, rows // max(ROWS_PER_INPUT * width, PRODUCTS // width**2))
        some = x[::every]
        if curvature is not None:
            some = some * curvature[::every, None].sqrt()
        return WholeCovariance((some.T @ some).double() / len(some))
    some = x[:: -(-rows // MOST_EXACT)]
    found = principal_components(some, LEADING, seed=0)
    return LeadingComponents(found.basis, found.deviations.square())
