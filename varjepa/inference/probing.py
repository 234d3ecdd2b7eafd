"""The probe, its baselines on raw features, the head that ships, and their predictions for test rows."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from varjepa.config import RetrainConfig
from varjepa.data.encode.encoded import Part
from varjepa.data.encode.features import Label
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.sources import ROW
from varjepa.data.read.splits import CLUSTER
from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.bootstrap import cluster_numbers
from varjepa.evaluation.gate.paired_tests import Pairs, p_worse
from varjepa.evaluation.probe import LinearProbe
from varjepa.evaluation.uncertainty.metrics import Classified, classification_metrics, regression_metrics
from varjepa.inference.fitted_uncertainty import FittedUncertainty, fit_uncertainty
from varjepa.inference.heads.candidates import Fitting
from varjepa.inference.heads.choice import Chosen, choose_head
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.labelled import HeadData
from varjepa.inference.heads.linear import LinearHead
from varjepa.inference.intervals import FittedIntervals, fit_intervals
from varjepa.inference.kept_embeddings import Embedder, fresh
from varjepa.inference.model import TrainedModel

CHUNK = 8192
"""Rows embedded at a time."""

SIGNIFICANT = 0.05
"""Level at which a difference from a baseline counts as more than chance."""

GROUPS = {"probe": "p", "raw": "raw", "boosted": "boosted", "head": "head"}
"""Group of metrics -> prefix of output columns: the linear probe on embeddings, a linear model and boosted trees on raw
columns, and the head that ships."""


class Probes(NamedTuple):
    """Classifiers or regressors of one label.

    Attributes:
        linear: the linear probe on flat embeddings [N, D d].
        chosen: the head that ships.
        fitted: for the uncertainty measures of that head; None for a numeric label.
        intervals: of that head's numbers; None for classes.
        baselines: `raw`, a linear model on raw columns, and `boosted`, trees on them.
    """

    linear: LinearProbe
    chosen: Chosen
    fitted: FittedUncertainty | None
    intervals: FittedIntervals | None
    baselines: dict[str, Head]


def fit_probes(
    embedder: Embedder, preprocessor: Preprocessor, config: RetrainConfig, *, train: Part, validation: Part
) -> Probes:
    """Fits probe, baselines and heads on training rows; validation rows choose penalties.

    The head and its temperature are chosen by validation rows, and training rows that were left out in turn.

    Args:
        embedder: of the trained network, on the device of all rows.
        preprocessor: of the table, with a label.
        config: of the job: `probe`, `uncertainty` and `training.seed`.
        train: training rows with a label.
        validation: rows of the validation part with a label that training has seen; may be none.
    """
    n_classes = () if preprocessor.label is None else preprocessor.label.classes
    embedded = [embedder(part.table, part.rows) for part in (train, validation)]
    training, other = (
        HeadData(HeadRows(embedding.mean.flatten(1), part.table), part.labels, part.clusters)
        for embedding, part in zip(embedded, (train, validation), strict=True)
    )
    fitting = Fitting(training, other, preprocessor, len(n_classes), config.probe, config.training.seed)
    fitting.fit_side_by_side()
    probe = fitting.head("linear", "embedding")
    if not isinstance(probe, LinearHead):
        raise TypeError("the probe is not linear")
    baselines = {"raw": fitting.head("linear", "raw"), "boosted": fitting.head("boosted", "raw")}
    chosen, fitted = choose_head(fitting), None
    intervals = None if n_classes else fit_intervals(fitting, chosen.head)
    if n_classes:
        fitted = fit_uncertainty(fitting, probe.probe, chosen.head, embedded[0].scale, section=config.uncertainty)
    return Probes(probe.probe, chosen, fitted, intervals, baselines)


def predict_rows(
    model: TrainedModel, baselines: Mapping[str, Head], test: Part, *, keep: int, embedder: Embedder | None = None
) -> tuple[pl.DataFrame, Tensor]:
    """Predictions for rows with and without a label.

    Args:
        model: with its probe and head, where there is a label.
        baselines: heads on raw columns, by group; empty without a label.
        test: rows on the model's device.
        keep: number of first rows whose flat embeddings are returned as well.
        embedder: of the rows; None embeds all of them.

    Returns:
        One line per row (row number, `label`, `CLUSTER` where rows come in clusters, latent `uncertainty` for kinds
        that have one, and outputs `p0`... of the probe, `raw0`..., `boosted0`... and `head0`..., which are calibrated),
        and flat embeddings [keep, D d].
    """
    frames, first_rows, embedder = [], [], embedder or fresh(model.network)
    for start in range(0, len(test.labels), CHUNK):
        part = test.take(torch.arange(start, min(start + CHUNK, len(test.labels)), device=test.labels.device))
        embedding = embedder(part.table, part.rows)
        rows = HeadRows(embedding.mean.flatten(1), part.table)
        # All embeddings at once might not fit into memory.
        if start < keep:
            first_rows.append(rows.flat[: keep - start])
        columns = {ROW: part.rows, "label": part.labels.cpu().numpy()}
        if part.clusters is not None:
            columns[CLUSTER] = part.clusters
        uncertainty = model.latent_uncertainty(embedding)
        if uncertainty is not None:
            columns["uncertainty"] = uncertainty.cpu().numpy()
        frames.append(pl.DataFrame(columns | _all_outputs(model, baselines, rows)))
    return pl.concat(frames), torch.cat(first_rows)


def _all_outputs(model: TrainedModel, baselines: Mapping[str, Head], rows: HeadRows) -> dict[str, np.ndarray]:
    """Outputs of probe, baselines and head, one column each per class."""
    if model.probe is None or model.head is None:
        return {}
    outputs = {name: head.outputs(rows) for name, head in baselines.items()}
    outputs["probe"] = model.probe.predict(rows.flat).double()
    outputs["head"] = model.head.outputs(rows)
    if model.fitted is not None:
        outputs["head"] = outputs["head"] / model.fitted.temperature
    columns: dict[str, np.ndarray] = {}
    for group, output in outputs.items():  # [N, C], or [N, 1] for a numeric label
        values = output.softmax(1) if output.shape[1] > 1 else output
        columns |= {f"{GROUPS[group]}{number}": column.cpu().numpy() for number, column in enumerate(values.T)}
    return columns


def labelled_rows(predictions: pl.DataFrame) -> pl.DataFrame:
    """Those predictions of `predict_rows` that have a label, be its class known or not."""
    return predictions.filter(pl.col("label").is_not_nan())


def classified(predictions: pl.DataFrame, group: str) -> Classified:
    """Class probabilities of a probe (a key of `GROUPS`) on the rows that have a label."""
    labelled = labelled_rows(predictions)
    probabilities = labelled.select(pl.col(rf"^{GROUPS[group]}\d+$")).to_numpy()
    return Classified.of(probabilities, labelled["label"].cast(pl.Int64).to_numpy())


RAW = {"raw": "a linear model", "boosted": "boosted trees"}
"""Groups on raw columns alone, in words."""


def against_raw(predictions: pl.DataFrame, metrics: Mapping[str, float]) -> str:
    """Whether what ships is worse than the best baseline on raw columns, in a sentence; empty without a label.

    Args:
        predictions: of `predict_rows`.
        metrics: of `probe_metrics`.
    """
    name = next((name for name in ("accuracy", "r2") if f"head/{name}" in metrics), None)
    if name is None:
        return ""
    best = max(RAW, key=lambda group: metrics[f"{group}/{name}"])
    ours, theirs = metrics[f"head/{name}"], metrics[f"{best}/{name}"]
    verb, figure = "have" if best == "boosted" else "has", name.replace("r2", "R2")
    words = f"on raw columns, {RAW[best]} {verb} {figure} {theirs:.4f}"
    labelled = labelled_rows(predictions)
    clusters = cluster_numbers(labelled[CLUSTER].to_numpy()) if CLUSTER in labelled.columns else None
    p = p_worse(Pairs(_goodness(labelled, "head") - _goodness(labelled, best), clusters))
    p = min(1.0, p * len(RAW))  # Bonferroni: the better of two on these very rows
    if ours >= theirs:
        return f"{words}, what ships {ours:.4f}"
    beyond = "which is beyond chance" if p < SIGNIFICANT else "which may be chance"
    return f"{words}, what ships only {ours:.4f}, {beyond} (p {p:.2g})"


def _goodness(labelled: pl.DataFrame, group: str) -> Floats:
    """Whether predictions are right, or minus their squared error [N]."""
    prefix = GROUPS[group]
    if f"{prefix}1" in labelled.columns:
        return (~classified(labelled, group).error).astype(np.float64)
    return -((labelled[f"{prefix}0"] - labelled["label"]).to_numpy() ** 2)


def probe_metrics(predictions: pl.DataFrame, label: Label | None) -> dict[str, float]:
    """Metrics of every group, `probe/...`, `raw/...`, `boosted/...` and `head/...`; none where no row has a label.

    `unseen_class_rows` says how many rows have a class that training has not seen. They count as errors.
    `guess/accuracy` is the accuracy of always naming one class, the best one on these rows.
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
        labels = labelled_rows(predictions)["label"].cast(pl.Int64).to_numpy()
        counts = np.bincount(labels, minlength=len(label.classes) + 1)
        metrics["unseen_class_rows"] = float(counts[-1])
        metrics["guess/accuracy"] = float(counts[:-1].max() / counts.sum())
    return metrics
