"""Linear probes on frozen embeddings and on raw features, and their predictions for test rows."""

from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from varjepa.config import RetrainConfig
from varjepa.data.encode.encoded import Part
from varjepa.data.encode.features import Label
from varjepa.data.read.sources import ROW
from varjepa.data.read.splits import CLUSTER
from varjepa.data.tensors.sizes import TableSizes
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.probe import LinearProbe, best_probe
from varjepa.evaluation.uncertainty.metrics import Classified, classification_metrics, regression_metrics
from varjepa.inference.measures import FittedUncertainty, fit_uncertainty
from varjepa.inference.model import TrainedModel
from varjepa.models.embedding import embed
from varjepa.models.network import TableNetwork

CHUNK = 8192
"""Rows embedded at a time."""

GROUPS = {"probe": "p", "raw": "raw"}
"""Group of metrics -> prefix of output columns: the probe on embeddings, and the probe on raw features."""


class Probes(NamedTuple):
    """Probes of one label.

    Attributes:
        linear: on flat embeddings [N, D d].
        fitted: for the uncertainty measures of `linear`; None for a numeric label.
        raw: on raw features (see `raw_features`).
    """

    linear: LinearProbe
    fitted: FittedUncertainty | None
    raw: LinearProbe


def fit_probes(
    network: TableNetwork, sizes: TableSizes, label: Label, config: RetrainConfig, *, train: Part, validation: Part
) -> Probes:
    """Fits the probes on training rows; validation rows choose their penalties and the temperature.

    Args:
        network: trained, on the device of all rows.
        sizes: of the table.
        label: what to predict.
        config: of the job: `probe`, `uncertainty` and `training.seed`.
        train: training rows with a label.
        validation: rows of the validation part with a label that training has seen; may be none.
    """
    n_classes, penalties = len(label.classes), config.probe.l2
    embedded = [(embed(network, part.table), part.labels) for part in (train, validation)]
    flat = [(embedding.mean.flatten(1), labels) for embedding, labels in embedded]
    linear = best_probe(*flat, n_classes=n_classes, l2=penalties)
    fitted = None
    if label.classes:
        fitted = fit_uncertainty(
            linear, *embedded, section=config.uncertainty, seed=config.training.seed, clusters=train.clusters
        )
    # The baseline: a linear model of the same kind without an embedding.
    plain = [(raw_features(part.table, sizes), part.labels) for part in (train, validation)]
    return Probes(linear, fitted, best_probe(*plain, n_classes=n_classes, l2=penalties))


def raw_features(table: TableTensors, sizes: TableSizes) -> Tensor:
    """Input of a linear model without an embedding: numbers, whether they are observed, one column per category.

    Returns:
        float32 [N, 2 n_numeric + sum of cardinalities].
    """
    n_numeric, cardinalities = sizes
    codes = [torch.nn.functional.one_hot(table.codes[:, j], size) for j, size in enumerate(cardinalities)]
    return torch.cat([table.numeric, table.observed[:, :n_numeric], *codes], dim=1).float()


def predict_rows(model: TrainedModel, raw: LinearProbe | None, test: Part, *, keep: int) -> tuple[pl.DataFrame, Tensor]:
    """Predictions for rows with and without a label.

    Args:
        model: with its probe, where there is one.
        raw: the probe on raw features; None without a label.
        test: rows on the model's device.
        keep: number of first rows whose flat embeddings are returned as well.

    Returns:
        One line per row (row number, `label`, `CLUSTER` where rows come in clusters, latent `uncertainty` for kinds
        that have one, calibrated outputs `p0`... of the probe, and outputs `raw0`... of the probe on raw features), and
        flat embeddings [keep, D d].
    """
    frames, first_rows = [], []
    for start in range(0, len(test.labels), CHUNK):
        part = test.take(torch.arange(start, min(start + CHUNK, len(test.labels)), device=test.labels.device))
        embedding = embed(model.network, part.table)
        flat = embedding.mean.flatten(1)
        # All embeddings at once might not fit into memory.
        if start < keep:
            first_rows.append(flat[: keep - start])
        columns = {ROW: part.rows, "label": part.labels.cpu().numpy()}
        if part.clusters is not None:
            columns[CLUSTER] = part.clusters
        uncertainty = model.latent_uncertainty(embedding)
        if uncertainty is not None:
            columns["uncertainty"] = uncertainty.cpu().numpy()
        temperature = 1.0 if model.fitted is None else model.fitted.temperature
        columns |= _outputs(GROUPS["probe"], model.probe, flat, temperature)
        columns |= _outputs(GROUPS["raw"], raw, raw_features(part.table, model.preprocessor.sizes))
        frames.append(pl.DataFrame(columns))
    return pl.concat(frames), torch.cat(first_rows)


def _outputs(prefix: str, linear: LinearProbe | None, x: Tensor, temperature: float = 1.0) -> dict[str, np.ndarray]:
    if linear is None:
        return {}
    output = linear.predict(x).double()  # [N, C], or [N, 1] for a numeric label
    output = (output / temperature).softmax(1) if output.shape[1] > 1 else output
    return {f"{prefix}{number}": column.cpu().numpy() for number, column in enumerate(output.T)}


def labelled_rows(predictions: pl.DataFrame) -> pl.DataFrame:
    """Those predictions of `predict_rows` that have a label, be its class known or not."""
    return predictions.filter(pl.col("label").is_not_nan())


def classified(predictions: pl.DataFrame, group: str) -> Classified:
    """Class probabilities of a probe (a key of `GROUPS`) on the rows that have a label."""
    labelled = labelled_rows(predictions)
    probabilities = labelled.select(pl.col(rf"^{GROUPS[group]}\d+$")).to_numpy()
    return Classified.of(probabilities, labelled["label"].cast(pl.Int64).to_numpy())


def probe_metrics(predictions: pl.DataFrame, label: Label | None) -> dict[str, float]:
    """Metrics of both probes, `probe/...` and `raw/...`; none where no row has a label.

    `unseen_class_rows` says how many rows have a class that training has not seen. They count as errors.
    """
    if label is None or predictions["label"].is_nan().all():
        return {}
    metrics: dict[str, float] = {}
    for group, prefix in GROUPS.items():
        if label.classes:
            values = classification_metrics(classified(predictions, group))
        else:
            labelled = labelled_rows(predictions)
            values = regression_metrics(labelled[f"{prefix}0"].to_numpy(), labelled["label"].to_numpy())
        metrics |= {f"{group}/{name}": value for name, value in values.items()}
    if label.classes:
        metrics["unseen_class_rows"] = float((predictions["label"] == len(label.classes)).sum())
    return metrics
