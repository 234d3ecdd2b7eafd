"""Multinomial logistic regression by L-BFGS in coordinates in which the inputs are uncorrelated.

Near the minimum the loss is round in coordinates in which the rows count by their curvature: a row that is predicted
with certainty does not bend it. A dozen steps from 0 come near enough to know the curvature, and another dozen end.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from varjepa.evaluation.preconditioners import Covariance
from varjepa.nn.optimizers import LBFGS

Line = tuple[Tensor, Tensor]
"""Weights [C, F] and biases [C]."""


def fit_logistic(
    x: Tensor,
    y: Tensor,
    n_classes: int,
    l2: float,
    *,
    covariance: Covariance | None,
    max_iterations: int,
    curvature: float | None = None,
    start: Line | None = None,
) -> Line:
    """Weights [C, F] and biases [C].

    Args:
        x: standardised inputs, float32 [N, F].
        y: class numbers, int64 [N].
        n_classes: C.
        l2: penalty per row on the squared weights, halved; above 0.
        covariance: of the inputs; None for the coordinates of the inputs.
        max_iterations: of L-BFGS.
        curvature: that the covariance is to be multiplied with; None: as before any fit, by the shares of the classes.
        start: of the way; None for 0.
    """
    curvature = _curvature(y, n_classes) if curvature is None else curvature
    weights_of = None if covariance is None else covariance.steps(curvature, l2)
    first, bias = start or (x.new_zeros(n_classes, x.shape[1]), x.new_zeros(n_classes))
    bias = bias.clone().requires_grad_()
    steps = torch.zeros_like(first, requires_grad=True)  # from the first weights, in the new coordinates
    optimizer = LBFGS(
        [steps, bias], max_iter=max_iterations, history_size=20, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )

    def weight() -> Tensor:
        return first + (steps if weights_of is None else weights_of(steps))

    def closure() -> Tensor:
        optimizer.zero_grad()
        weights = weight()
        loss = F.cross_entropy(F.linear(x, weights, bias), y) + 0.5 * l2 * weights.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():  # callers may have turned gradients off
        optimizer.step(closure)
    return weight().detach(), bias.detach()


def row_curvature(logits: Tensor) -> Tensor:
    """Mean variance of a class indicator in each row [N]: second derivative of its log loss along a logit [N, C]."""
    chances = logits.softmax(1)
    return (chances * (1 - chances)).mean(1)


def _curvature(y: Tensor, n_classes: int) -> float:
    """Mean variance of a class indicator: about the second derivative of the log loss along an input of variance 1."""
    share = torch.bincount(y, minlength=n_classes).double() / max(len(y), 1)
    return float((share * (1 - share)).mean())
