"""The linear head: logistic or ridge regression on the embedding, on raw columns, or on both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from varjepa.config.heads import FEATURES, HEAD
from varjepa.evaluation.probe import LinearProbe, best_probe, probe_loss
from varjepa.inference.heads.inputs import HeadRows, RawColumns


@dataclass(frozen=True)
class LinearHead:
    """A linear model.

    Attributes:
        probe: on inputs as `features` says.
        features: what it reads.
        columns: raw columns as inputs; None where only the embedding is read.
    """

    probe: LinearProbe
    features: FEATURES = "embedding"
    columns: RawColumns | None = None

    @property
    def kind(self) -> HEAD:
        """Linear."""
        return "linear"

    def outputs(self, rows: HeadRows) -> Tensor:
        """Logits float64 [N, C], or values [N, 1]."""
        return self.probe.predict(self.inputs(rows)).double()

    def inputs(self, rows: HeadRows) -> Tensor:
        """Inputs float32 [N, F] of the linear model."""
        return linear_inputs(rows, self.features, self.columns)

    def tensors(self) -> dict[str, Tensor]:
        """The arrays by name."""
        return self.probe.tensors()

    def facts(self) -> dict[str, Any]:
        """Penalty, and how numbers are read."""
        columns = self.columns
        read = {"warped": columns.warped, "binned": columns.binned} if columns else {"warped": False, "binned": False}
        return {"l2": self.probe.l2} | read


def linear_inputs(rows: HeadRows, features: FEATURES, columns: RawColumns | None) -> Tensor:
    """Inputs float32 [N, F] of a linear model."""
    parts = [] if columns is None else [columns(rows.table)]
    return torch.cat([rows.flat, *parts] if features != "raw" else parts, dim=1)


Labelled = tuple[HeadRows, Tensor]
"""Rows, and their class numbers or values [N]."""


def fit_linear(
    train: Labelled,
    validation: Labelled,
    features: FEATURES,
    columns: Sequence[RawColumns],
    *,
    n_classes: int,
    l2: Sequence[float],
) -> LinearHead:
    """Fits linear heads; validation rows choose the penalty and how raw numbers are read.

    Args:
        train: training rows.
        validation: other rows; where there are none, the first penalty and reading are taken.
        features: what to read.
        columns: readings of the raw columns to choose from; not used for the embedding alone.
        n_classes: C, or 0 for regression.
        l2: penalties to choose from.
    """
    heads = []
    for reading in columns if features != "embedding" else (None,):
        parts = [(linear_inputs(rows, features, reading), labels) for rows, labels in (train, validation)]
        probe = best_probe(*parts, n_classes=n_classes, l2=l2)
        loss = probe_loss(probe, *parts[1], n_classes=n_classes) if len(parts[1][1]) else 0.0
        heads.append((loss, LinearHead(probe, features, reading)))
    return min(heads, key=lambda pair: pair[0])[1]
