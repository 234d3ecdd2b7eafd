"""Multinomial logistic regression by L-BFGS in coordinates in which the inputs are uncorrelated.

Embeddings have hundreds of correlated inputs, for which L-BFGS takes hundreds of steps, or stops before it has
converged. In coordinates that make the penalised covariance of the inputs the identity it takes a few dozen. The
minimum is the same: only the way to it is shorter.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from varjepa.nn.optimizers import LBFGS

WIDEST = 4096
"""Inputs up to which they are decorrelated: factorising takes their number to the third power."""

ROWS_PER_INPUT = 2
"""Rows that the covariance comes from, per input. It sets the way to the minimum, so a sample of the rows is enough."""


def covariance(x: Tensor) -> Tensor | None:
    """Second moments float64 [F, F] of some of the rows; None where decorrelating would take longer than it saves.

    Args:
        x: standardised inputs, float32 [N, F].
    """
    rows, width = x.shape
    if not 0 < width <= min(rows, WIDEST):
        return None
    some = x[:: max(1, rows // (ROWS_PER_INPUT * width))]
    return (some.T @ some).double() / len(some)


def fit_logistic(
    x: Tensor, y: Tensor, n_classes: int, l2: float, *, moments: Tensor | None, max_iterations: int
) -> tuple[Tensor, Tensor]:
    """Weights [C, F] and biases [C].

    Args:
        x: standardised inputs, float32 [N, F].
        y: class numbers, int64 [N].
        n_classes: C.
        l2: penalty per row on the squared weights, halved; above 0.
        moments: of `covariance`; None for the coordinates of the inputs.
        max_iterations: of L-BFGS.
    """
    axes = None if moments is None else _axes(moments, _curvature(y, n_classes), l2)
    steps = x.new_zeros(n_classes, x.shape[1], requires_grad=True)  # the weights along the axes
    bias = x.new_zeros(n_classes, requires_grad=True)
    optimizer = LBFGS(
        [steps, bias], max_iter=max_iterations, history_size=20, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )

    def weight() -> Tensor:
        return steps if axes is None else steps @ axes

    def closure() -> Tensor:
        optimizer.zero_grad()
        weights = weight()
        loss = F.cross_entropy(F.linear(x, weights, bias), y) + 0.5 * l2 * weights.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():  # callers may have turned gradients off
        optimizer.step(closure)
    return weight().detach(), bias.detach()


def _curvature(y: Tensor, n_classes: int) -> float:
    """Mean variance of a class indicator: about the second derivative of the log loss along an input of variance 1."""
    share = torch.bincount(y, minlength=n_classes).double() / max(len(y), 1)
    return float((share * (1 - share)).mean())


def _axes(moments: Tensor, curvature: float, l2: float) -> Tensor | None:
    """Rows [F, F] in which the second derivatives are about the identity; None where rounding forbids to find them."""
    identity = torch.eye(len(moments), dtype=torch.float64, device=moments.device)
    factor, failed = torch.linalg.cholesky_ex(curvature * moments + l2 * identity)
    if int(failed):
        return None
    return torch.linalg.solve_triangular(factor, identity, upper=False).float()
