"""Ridge regression: by its normal equations, and of inputs too many for them by conjugate gradients."""

import torch
from torch import Tensor

from varjepa.evaluation.latents.components import MOST_EXACT
from varjepa.evaluation.preconditioners import WIDEST, Covariance

TOLERANCE = 1e-6
"""Of conjugate gradients: residual at most, as a share of the first."""


def is_large(rows: int, inputs: int) -> bool:
    """Whether a regression of this size takes conjugate gradients, and so the covariance of its inputs."""
    return rows > MOST_EXACT and inputs > min(rows, WIDEST)


def products_of(x: Tensor) -> Tensor | None:
    """Mean products of inputs [N, F], float64 [F, F], or of rows [N, N] where these are fewer; None if `is_large`."""
    rows, inputs = x.shape
    if is_large(rows, inputs) or not rows:
        return None
    x = x.double()
    return (x.T @ x if inputs <= rows else x @ x.T) / rows


def fit_ridge(
    x: Tensor, y: Tensor, l2: float, *, products: Tensor | None, covariance: Covariance | None, max_iterations: int
) -> tuple[Tensor, Tensor]:
    """Weights [1, F] and the bias [1].

    Args:
        x: standardised inputs, float32 [N, F].
        y: values [N] of any type.
        l2: penalty per row on the squared weights, halved; above 0.
        products: of `products_of`, the same for all labels and penalties; None where there are none.
        covariance: of the inputs, for conjugate gradients (`is_large`); None for the coordinates of the inputs.
        max_iterations: of conjugate gradients.
    """
    # The intercept is the mean label, because the inputs are centered: it is not penalised.
    rows, inputs = x.shape
    mean = y.double().mean()
    target = (y.double() - mean) / rows  # [N]
    if products is None:
        weight = _by_gradients(x, target, l2, covariance, max_iterations)
    else:
        penalised = products + l2 * torch.eye(len(products), dtype=torch.float64, device=x.device)
        x = x.double()
        # A number per input, or, where there are more inputs than rows, one per row: fewer unknowns.
        weight = (torch.linalg.solve(penalised, x.T @ target) if inputs <= rows
                  else x.T @ torch.linalg.solve(penalised, target))  # fmt: skip
    return weight.float()[None, :], mean.float()[None]


def _by_gradients(x: Tensor, target: Tensor, l2: float, covariance: Covariance | None, max_iterations: int) -> Tensor:
    """Preconditioned conjugate gradients: tens of passes over inputs whose products no memory holds."""
    steps = None if covariance is None else covariance.steps(1.0, l2)

    def shortened(residual: Tensor) -> Tensor:
        return residual if steps is None else steps(steps(residual[None]))[0]

    residual = x.T @ target.float()  # [F]
    weight, length = torch.zeros_like(residual), float(residual.norm())
    direction = preconditioned = shortened(residual)
    energy = residual @ preconditioned
    for _ in range(max_iterations):
        if float(residual.norm()) <= TOLERANCE * length:
            break
        product = x.T @ (x @ direction) / len(x) + l2 * direction  # [F]
        share = energy / (direction @ product)
        weight, residual = weight + share * direction, residual - share * product
        preconditioned = shortened(residual)
        before, energy = energy, residual @ preconditioned
        direction = preconditioned + energy / before * direction
    return weight
