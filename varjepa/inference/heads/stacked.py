"""The stacked head: a weighted combination of other heads, with weights from rows that these were not fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor

from varjepa.config.heads import FEATURES, HEAD
from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.uncertainty.calibration import smoothed_labels
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import HeadRows

SHRINKAGE = 0.001
"""Penalty on the squared distance of the weights from equal ones: few rows should not choose a single member."""


@dataclass(frozen=True)
class StackedHead:
    """A combination of heads.

    Attributes:
        members: K heads.
        weights: [K], at least 0: of their log-probabilities, or of their values.
    """

    members: tuple[Head, ...]
    weights: tuple[float, ...]

    @property
    def kind(self) -> HEAD:
        """Stacked."""
        return "stacked"

    @property
    def features(self) -> FEATURES:
        """Both: some members read the embedding, others raw columns."""
        return "both"

    def outputs(self, rows: HeadRows) -> Tensor:
        """Logits float64 [N, C], or values [N, 1]."""
        each = [comparable(member.outputs(rows)) for member in self.members]
        return torch.stack([weight * output for weight, output in zip(self.weights, each, strict=True)]).sum(0)

    def tensors(self) -> dict[str, Tensor]:
        """The members' arrays, numbered."""
        return {f"{number}.{name}": value for number, member in enumerate(self.members)
                 for name, value in member.tensors().items()}  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """The weights."""
        return {"weights": list(self.weights)}


def comparable(output: Tensor) -> Tensor:
    """Log-probabilities [N, C] of logits; values [N, 1] as they are."""
    return output.log_softmax(1) if output.shape[1] > 1 else output


def combined(weights: Sequence[float] | Floats, outputs: Sequence[Floats]) -> Floats:
    """What members say together, [N, C] or [N, 1], of outputs of each."""
    return np.tensordot(weights, np.stack([comparable(torch.from_numpy(output)).numpy() for output in outputs]), axes=1)


def stacking_weights(outputs: Sequence[Floats], labels: Floats) -> NDArray[np.float64]:
    """Weights [K] with which the members together predict best.

    Of log-probabilities they need not sum to 1: their sum is a temperature, for which labels are smoothed. Of values
    they do.

    Args:
        outputs: of each member, log-probabilities [N, C] or values [N, 1].
        labels: class numbers or values [N], N at least 1.
    """
    each, equal = np.stack(outputs), np.full(len(outputs), 1 / len(outputs))  # [K, N, C]
    if each.shape[2] == 1:
        return _value_weights(each[:, :, 0], labels, equal)
    targets = smoothed_labels(labels.astype(np.int64), each.shape[2])

    from scipy.optimize import minimize

    def loss(weights: Floats) -> tuple[float, Floats]:
        logits = np.tensordot(weights, each, axes=1)  # [N, C]
        log_probability = logits - logsumexp(logits, axis=1, keepdims=True)
        gradient = np.einsum("knc,nc->k", each, np.exp(log_probability) - targets) / len(labels)
        total = -(targets * log_probability).sum(1).mean() + SHRINKAGE * ((weights - equal) ** 2).sum()
        return float(total), gradient + 2 * SHRINKAGE * (weights - equal)

    return minimize(loss, equal, jac=True, bounds=[(0.0, None)] * len(equal)).x


def _value_weights(each: Floats, labels: Floats, equal: Floats) -> NDArray[np.float64]:
    """Weights of values [K, N], at least 0 and with sum 1, with the smallest squared error."""
    from scipy.optimize import minimize

    scale = float(labels.var()) or 1.0

    def loss(weights: Floats) -> float:
        squared = ((weights @ each - labels) ** 2).mean() / scale
        return float(squared + SHRINKAGE * ((weights - equal) ** 2).sum())

    sums_to_one = {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    found = minimize(loss, equal, bounds=[(0.0, 1.0)] * len(equal), constraints=sums_to_one, method="SLSQP").x
    weights = np.clip(found, 0.0, None)
    return weights / weights.sum()
