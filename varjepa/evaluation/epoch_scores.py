"""Scores a network between epochs by its frozen embeddings: by a linear probe (arXiv 2603.20111, D.2) or rank."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.latents.latents import rankme
from varjepa.evaluation.probe import best_probe, fit_probe, probe_loss
from varjepa.models.embedding import embed, row_uncertainty
from varjepa.models.network import TableNetwork

L2 = 1e-3
"""Penalty of the probe, where there are no more inputs than rows."""

L2_OF_WIDE = (L2, 1e-1)
"""Otherwise rows choose among these and larger ones: what suits depends on the table, from 0.1 to 30 as measured."""

HELD = 5
"""Every so many rows choose."""

SURE_SHARE = 0.8
"""Share of the least uncertain validation rows that a selective score looks at, as published."""


@dataclass(frozen=True)
class ProbeEvaluator:
    """Fits a probe on training rows and scores it on validation rows.

    NOTE[DIFF]: the paper selects by accuracy; we select by minus the probe's log loss (squared error for values), which
    orders checkpoints alike and is several times less noisy on a tenth of a table.

    Attributes:
        train: labelled training rows, on the network's device.
        train_labels: [N].
        validation: labelled validation rows.
        validation_labels: [M].
        n_classes: C, or 0 for regression.
        selective: score only the `SURE_SHARE` least uncertain validation rows; for kinds of network with scales.
        aggregate: how uncertainty is aggregated.
        rank: measure RankMe as well, for kinds whose ties it breaks.
    """

    train: TableTensors
    train_labels: Tensor
    validation: TableTensors
    validation_labels: Tensor
    n_classes: int
    selective: bool
    aggregate: str
    rank: bool = False

    def __call__(self, network: TableNetwork) -> tuple[float, dict[str, float]]:
        """Returns (minus the probe's loss on the validation rows, metrics); NaN where training has diverged."""
        trained = embed(network, self.train).mean.flatten(1)
        embedded = embed(network, self.validation)  # mean and scale [M, D, d]
        x, y = embedded.mean.flatten(1), self.validation_labels  # [M, D d], [M]
        if not (_has_squares(trained) and _has_squares(x)):
            return math.nan, {"validation/probe_loss": math.nan}
        l2 = L2 if trained.shape[1] <= len(trained) else self._penalty(trained)
        probe = fit_probe(trained, self.train_labels, n_classes=self.n_classes, l2=l2)
        metrics = {"validation/rankme": rankme(x)} if self.rank else {}
        if self.selective and embedded.scale is not None:
            surest = row_uncertainty(embedded.scale, self.aggregate).argsort()[: max(1, int(SURE_SHARE * len(y)))]
            x, y = x[surest], y[surest]
        # The probe saw training rows only; the loss is on validation rows, selective or all.
        loss = probe_loss(probe, x, y, n_classes=self.n_classes)
        metrics["validation/probe_loss"] = loss
        if self.n_classes:
            correct = probe.predict(x).argmax(1) == y.long()
            metrics["validation/probe_accuracy"] = float(correct.to(torch.float32).mean())
        return -loss, metrics

    def _penalty(self, x: Tensor) -> float:
        """The penalty that suits some of the training rows [N, D d]; the validation rows judge, so they must not."""
        held = torch.arange(len(x), device=x.device) % HELD == 0
        parts = ((x[rows], self.train_labels[rows]) for rows in (~held, held))
        return best_probe(*parts, n_classes=self.n_classes, l2=L2_OF_WIDE).l2


def _has_squares(x: Tensor) -> bool:
    """Whether the squares of numbers, which standardising sums up, are numbers."""
    return bool(torch.linalg.vector_norm(x).isfinite())


@dataclass(frozen=True)
class RankMeEvaluator:
    """Scores by the effective rank of the validation embedding: needs no label, and cannot be had by collapse.

    Attributes:
        validation: validation rows, on the network's device.
    """

    validation: TableTensors

    def __call__(self, network: TableNetwork) -> tuple[float, dict[str, float]]:
        """Returns (RankMe, metrics); NaN where training has diverged."""
        rank = rankme(embed(network, self.validation).mean.flatten(1))
        return rank, {"validation/rankme": rank}


Score = tuple[float | None, dict[str, float]]
"""Of an epoch: a number, where the evaluator selects epochs, and metrics."""


@dataclass(frozen=True)
class AddedMetrics:
    """Adds the metrics of a second evaluator to those of a first, whose score stands.

    Attributes:
        selecting: scores an epoch; None where the objective does.
        adding: gives further metrics; its score is ignored.
    """

    selecting: Callable[[TableNetwork], Score] | None
    adding: Callable[[TableNetwork], Score]

    def __call__(self, network: TableNetwork) -> Score:
        """Returns (score of the first, metrics of both)."""
        score, metrics = (None, {}) if self.selecting is None else self.selecting(network)
        return score, metrics | self.adding(network)[1]
