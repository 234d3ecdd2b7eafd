"""Transformations of a numeric label: a head learns the transformed label, and answers in units of the original.

| name | what a head learns of a label y |
| --- | --- |
| none | y |
| log | asinh((y - c) / s): near c like y, far from it like its logarithm; c is 0 if no label is negative |
| quantile | normal scores of y among the training labels |

Transforming a mean back gives no mean: of a skewed label it is nearer the median, and squared errors are larger than
they need be. So a prediction is the mean over many errors, each added before it is transformed back (smearing).

References:
    Duan 1983, "Smearing estimate: a nonparametric retransformation method".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from varjepa.config.base import Facts
from varjepa.config.heads import FEATURES, HEAD
from varjepa.evaluation.arrays import Floats
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import HeadRows

TRANSFORM = Literal["none", "log", "quantile"]

SKEWED = 0.5
"""Skewness of labels from which on transformations are tried."""

SMALLEST_SCALE = 1e-12
"""Smallest scale of `log`, as a share of the largest distance from the center."""

N_KNOTS, N_ERRORS = 201, 51
"""Knots of normal scores, and errors that are stored for smearing."""


class LabelTransform(Facts):
    """A rising transformation of a label.

    Attributes:
        name: of the transformation.
        center: of log.
        scale: of log, above 0.
        knots: labels whose normal scores are `scores`, rising; for quantile.
        scores: rising.
    """

    name: TRANSFORM = "none"
    center: float = 0.0
    scale: float = 1.0
    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()

    @classmethod
    def fit(cls, name: TRANSFORM, labels: Floats) -> Self:
        """Fits a transformation to training labels [N]; to equal labels none."""
        if name == "none" or labels.min() == labels.max():
            return cls()
        if name == "quantile":
            levels = (np.arange(N_KNOTS) + 0.5) / N_KNOTS
            knots, places = np.unique(np.quantile(labels, levels), return_inverse=True)
            # Labels that many rows share have the mean score of all of these.
            scores = np.bincount(places, ndtri(levels)) / np.bincount(places)
            return cls(name=name, knots=tuple(knots.tolist()), scores=tuple(scores.tolist()))
        center = 0.0 if labels.min() >= 0 else float(np.median(labels))
        distances = np.abs(labels - center)
        # Not so small that the largest label would be beyond what `backward` takes.
        scale = max(float(np.quantile(distances[distances > 0], 0.1)), SMALLEST_SCALE * float(distances.max()))
        return cls(name=name, center=center, scale=scale)

    def forward(self, labels: Floats) -> Floats:
        """Transformed labels, of the same shape."""
        if self.name == "log":
            return np.arcsinh((labels - self.center) / self.scale)
        return _lines(labels, self.knots, self.scores) if self.name == "quantile" else labels

    def backward(self, values: Floats) -> Floats:
        """Labels of transformed values, of the same shape."""
        if self.name == "log":
            # No label is so far beyond those of training: sinh would overflow.
            return np.sinh(np.clip(values, -100.0, 100.0)) * self.scale + self.center
        return _lines(values, self.scores, self.knots) if self.name == "quantile" else values


def is_skewed(labels: Floats) -> bool:
    """Whether labels [N] are so skewed that a transformation is worth a try."""
    centered = labels - labels.mean()
    spread = float(np.sqrt((centered**2).mean()))
    return bool(spread) and abs(float((centered**3).mean())) > SKEWED * spread**3


def _lines(values: Floats, start: tuple[float, ...], end: tuple[float, ...]) -> Floats:
    """Straight lines through the points (start, end); the outermost ones go on."""
    x, y = np.asarray(start), np.asarray(end)
    if len(x) < 2:
        return values - x[0] + y[0]
    segment = np.clip(np.searchsorted(x, values) - 1, 0, len(x) - 2)
    share = (values - x[segment]) / (x[segment + 1] - x[segment])
    return y[segment] + share * (y[segment + 1] - y[segment])


@dataclass(frozen=True)
class TransformedHead:
    """A regressor of a transformed label.

    Attributes:
        head: that learned the transformed label.
        transform: of the label.
        errors: of the transformed label on rows that `head` was not fitted on, `N_ERRORS` quantiles of them.
        low: smallest prediction, so that no error grows out of proportion: that of the training labels.
        high: largest prediction.
    """

    head: Head
    transform: LabelTransform
    errors: tuple[float, ...]
    low: float
    high: float

    @property
    def kind(self) -> HEAD:
        """That of the head within."""
        return self.head.kind

    @property
    def features(self) -> FEATURES:
        """What the head within reads."""
        return self.head.features

    def outputs(self, rows: HeadRows) -> Tensor:
        """Values [N, 1], float64, in units of the label."""
        inner = self.head.outputs(rows)[:, 0]
        return torch.from_numpy(self.original(inner.cpu().numpy())).to(inner.device)[:, None]

    def original(self, values: Floats) -> Floats:
        """Predictions [N] in units of the label: means over the errors, from transformed ones [N]."""
        total = sum(self.transform.backward(values + error) for error in self.errors)
        return np.clip(np.asarray(total / len(self.errors)), self.low, self.high)

    def tensors(self) -> dict[str, Tensor]:
        """The arrays of the head within."""
        return self.head.tensors()

    def facts(self) -> dict[str, Any]:
        """What the head within has, the transformation and its errors."""
        return self.head.facts() | {
            "transform": self.transform.model_dump(), "errors": list(self.errors), "low": self.low, "high": self.high
        }  # fmt: skip


def fit_transformed(
    name: TRANSFORM, labels: Floats, fit: Callable[[LabelTransform], Head], check: tuple[HeadRows, Floats]
) -> Head:
    """Fits a head to a transformed label.

    Args:
        name: of the transformation; `none` gives the plain head.
        labels: of training rows [N].
        fit: fits a head to labels after a transformation.
        check: other rows and their labels, whose errors are those of the smearing. Where there are none, a prediction
            is the transformed-back value alone.
    """
    transform = LabelTransform.fit(name, labels)
    if transform.name == "none":
        return fit(transform)
    head = fit(transform)
    rows, truth = check
    errors = np.zeros(1)
    if len(truth):
        levels = (np.arange(N_ERRORS) + 0.5) / N_ERRORS
        errors = np.quantile(transform.forward(truth) - head.outputs(rows)[:, 0].cpu().numpy(), levels)
    return TransformedHead(head, transform, tuple(errors.tolist()), float(labels.min()), float(labels.max()))
