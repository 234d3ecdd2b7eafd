"""Losses of single rows, on one scale for all trials of a search, so that two jobs can be compared in pairs of rows."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from varjepa.config import RetrainConfig
from varjepa.data.encode.encoded import Part
from varjepa.data.encode.features import Label
from varjepa.data.tensors.sizes import TableSizes
from varjepa.evaluation.bootstrap import bootstrap_rows, cluster_numbers, difference_interval
from varjepa.evaluation.hidden_cells import HiddenCells
from varjepa.evaluation.probe import best_probe
from varjepa.models.embedding import embed
from varjepa.models.network import TableNetwork

RESAMPLES = 2000


@dataclass(frozen=True)
class RowLosses:
    """Losses of some rows under one job.

    Attributes:
        criterion: name of the loss.
        values: float64 [N]; lower is better.
        figures: what people know better than the loss: `accuracy` or `r2`.
        clusters: as in `Part`.
    """

    criterion: str
    values: NDArray[np.float64]
    figures: dict[str, float]
    clusters: NDArray[np.uint64] | None

    @property
    def mean(self) -> float:
        """Over the rows."""
        return float(self.values.mean())


def label_losses(
    network: TableNetwork, label: Label, config: RetrainConfig, *, train: Part, validation: Part, rows: Part
) -> RowLosses:
    """Log loss (classes) or squared error (numbers) of the linear probe on the frozen embedding.

    Args:
        network: trained, on the device of all rows.
        label: what to predict.
        config: of the job.
        train: labelled training rows; the probe is fitted on them.
        validation: labelled validation rows; they choose the probe's penalty.
        rows: labelled rows to measure.
    """
    flat = [(embed(network, part.table).mean.flatten(1), part.labels) for part in (train, validation)]
    probe = best_probe(*flat, n_classes=len(label.classes), l2=config.probe.l2)
    output = probe.predict(embed(network, rows.table).mean.flatten(1)).double()
    return losses_of(output, rows, n_classes=len(label.classes))


def losses_of(output: torch.Tensor, rows: Part, *, n_classes: int) -> RowLosses:
    """Log losses of logits float64 [N, C], or squared errors of values [N, 1], for labelled rows."""
    output = output.to(rows.labels.device)
    if n_classes:
        losses = F.cross_entropy(output, rows.labels.long(), reduction="none")
        correct = output.argmax(1) == rows.labels.long()
        return _losses("log_loss", losses, {"accuracy": float(correct.double().mean())}, rows)
    truth = rows.labels.double()
    losses = (output[:, 0] - truth).square()
    spread = (truth - truth.mean()).square().mean()
    return _losses("squared_error", losses, {"r2": float(1 - losses.mean() / spread)}, rows)


@torch.inference_mode()
def hidden_cell_losses(network: TableNetwork, sizes: TableSizes, *, train: Part, rows: Part) -> RowLosses:
    """Errors on hidden cells (`varjepa.evaluation.hidden_cells`), for jobs without a label."""
    errors = HiddenCells(train.table, sizes).row_errors(network, rows.table)
    # A row without any cell has no error: it counts as one predicted by the mean.
    return _losses("hidden_cells", errors.nan_to_num(1.0), {}, rows)


def _losses(criterion: str, losses: torch.Tensor, figures: dict[str, float], rows: Part) -> RowLosses:
    return RowLosses(criterion, losses.double().cpu().numpy(), figures, rows.clusters)


@dataclass(frozen=True)
class PairedGain:
    """How much less one job loses than another on the same rows.

    Attributes:
        gain: mean loss of the other minus that of the one; above 0, the one is better.
        low: lower end of its 95% interval.
        high: upper end.
    """

    gain: float
    low: float
    high: float


def paired_gain(tuned: RowLosses, default: RowLosses, *, seed: int = 0) -> PairedGain:
    """The gain of a tuned job over the default one, with a bootstrap interval over rows, or over clusters of rows."""
    gains, clusters = default.values - tuned.values, cluster_numbers(tuned.clusters)  # [N] each
    drawn = bootstrap_rows(
        len(gains), lambda counts: counts @ gains / counts.sum(1), resamples=RESAMPLES, seed=seed, clusters=clusters
    )
    return PairedGain(float(gains.mean()), *difference_interval(drawn, 0.95, len(gains), clusters))
