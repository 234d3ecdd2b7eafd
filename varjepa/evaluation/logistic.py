"""Multinomial logistic regression by L-BFGS in coordinates in which the inputs are uncorrelated."""

import torch
import torch.nn.functional as F
from torch import Tensor

from varjepa.evaluation.preconditioners import Covariance
from varjepa.nn.optimizers import LBFGS


def fit_logistic(
    x: Tensor, y: Tensor, n_classes: int, l2: float, *, covariance: Covariance | None, max_iterations: int
) -> tuple[Tensor, Tensor]:
    """Weights [C, F] and biases [C].

    Args:
        x: standardised inputs, float32 [N, F].
        y: class numbers, int64 [N].
        n_classes: C.
        l2: penalty per row on the squared weights, halved; above 0.
        covariance: of the inputs; None for the coordinates of the inputs.
        max_iterations: of L-BFGS.
    """
    weights_of = None if covariance is None else covariance.steps(_curvature(y, n_classes), l2)
    steps = x.new_zeros(n_classes, x.shape[1], requires_grad=True)  # the weights in the new coordinates
    bias = x.new_zeros(n_classes, requires_grad=True)
    optimizer = LBFGS(
        [steps, bias], max_iter=max_iterations, history_size=20, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )

    def weight() -> Tensor:
        return steps if weights_of is None else weights_of(steps)

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
