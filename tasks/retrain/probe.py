"""Step 6: what the frozen embedding is worth; a linear probe on it, and the same probe on raw features."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from prefect import task
from torch import Tensor

from tasks.retrain.preprocess import ELSEWHERE, Prepared
from tasks.retrain.pretrain import Pretrained
from tasks.steps.files import write_text
from tasks.steps.reuse import reuse, step_folder
from varjepa.config import RetrainConfig
from varjepa.data.encode.encoded import Part, read_sample
from varjepa.data.encode.features import Label
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.sources import ROW
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.latents.latents import active_units, rankme
from varjepa.evaluation.latents.table_latents import table_diagnostics
from varjepa.evaluation.probe import LinearProbe, best_probe
from varjepa.evaluation.uncertainty.metrics import Classified, classification_metrics, regression_metrics
from varjepa.inference.measures import FittedUncertainty, fit_uncertainty
from varjepa.inference.model import TrainedModel
from varjepa.inference.storage import save_model
from varjepa.models.embedding import embed
from varjepa.models.network import TableNetwork
from varjepa.models.var_t_jepa import VarTJEPANetwork
from varjepa.nn.random import Randomness, initial_weights
from varjepa.training.device import resolve_device
from varjepa.training.loop import Trainer

CHUNK = 8192
"""Test rows embedded at a time."""

LATENT_ROWS, AGGREGATE_ROWS = 5000, 2000
"""Diagnostics of the embedding, and those of s_x and z, look at the first this many test rows."""


@dataclass(frozen=True)
class Probed:
    """A finished model and what it says about the test rows.

    Attributes:
        model: folder of network and probe (see `varjepa.inference.storage`).
        predictions: Parquet file, one row per test row: row number, label, latent uncertainty (for kinds that have
            one), probe outputs (`p0`..., calibrated probabilities) and those of the probe on raw features (`raw0`...).
        points: npy file [N, 2], map of the first test rows.
        metrics: probe/..., raw/..., elbo/... or prediction/..., latent/....
    """

    model: Path
    predictions: Path
    points: Path
    metrics: dict[str, float]


@task(name="probe", task_run_name="probe")
def probe(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig) -> Probed:
    """Fits the probes on training rows, chooses their penalty on validation rows, measures on test rows."""
    settings = config.model_dump(mode="json", exclude={"preprocess": ELSEWHERE})
    folder = step_folder("probe", str(pretrained.weights), settings, code=__name__)
    return reuse(folder, Probed, lambda: _probe(prepared, pretrained, config, folder))


def _probe(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig, folder: Path) -> Probed:
    preprocessor = Preprocessor.read(prepared.preprocessor)
    device = resolve_device(config.training.device)
    network = pretrained.network(preprocessor, config).to(device)
    test = measured_part(prepared.encoded, preprocessor, "test", config).to(device)
    linear = fitted = raw = None
    if preprocessor.label is not None:
        known = [
            read_sample(
                prepared.encoded, preprocessor, name, most=config.probe.max_rows, seed=config.training.seed,
                labelled=True,
            ).to(device)
            for name in ("train", "validation")
        ]  # fmt: skip
        linear, fitted = _fit_linear(known, network, preprocessor.label, config)
        raw = _fit(
            [(raw_features(part.table, preprocessor), part.labels) for part in known], preprocessor.label, config
        )
    model = TrainedModel(config, preprocessor, network, linear, fitted)
    save_model(folder / "model", model)
    predictions, sample = _predict(model, raw, test)
    predictions.write_parquet(folder / "predictions.parquet")
    np.save(folder / "points.npy", _map(sample).cpu().numpy())
    metrics = _probe_metrics(predictions, preprocessor.label)
    metrics |= _objective_metrics(model, test.table, pretrained) | _latent_metrics(model, test.table, sample)
    write_text(folder / "metrics.json", json.dumps(metrics))
    return Probed(folder / "model", folder / "predictions.parquet", folder / "points.npy", metrics)


def measured_part(path: Path, preprocessor: Preprocessor, name: str, config: RetrainConfig) -> Part:
    """The rows of a part outside of training that a model is measured on: all, or a sample of very many."""
    return read_sample(path, preprocessor, name, most=config.probe.max_test_rows, seed=config.training.seed)


def _fit_linear(
    known: list[Part], network: TableNetwork, label: Label, config: RetrainConfig
) -> tuple[LinearProbe, FittedUncertainty | None]:
    """The probe on embeddings, and what its uncertainty measures need."""
    pairs = [(embed(network, part.table), part.labels) for part in known]
    linear = _fit([(embedding.mean.flatten(1), labels) for embedding, labels in pairs], label, config)
    if not label.classes:
        return linear, None
    return linear, fit_uncertainty(linear, *pairs, section=config.uncertainty, seed=config.training.seed)


def _fit(known: list[tuple[Tensor, Tensor]], label: Label, config: RetrainConfig) -> LinearProbe:
    train, validation = known
    return best_probe(train, validation, n_classes=len(label.classes), l2=config.probe.l2)


def raw_features(table: TableTensors, preprocessor: Preprocessor) -> Tensor:
    """What a linear model gets without an embedding: numbers, whether they are there, one column per category.

    Returns:
        float32 [N, 2 n_numeric + sum of cardinalities].
    """
    n_numeric, cardinalities = preprocessor.sizes
    codes = [torch.nn.functional.one_hot(table.codes[:, j], size) for j, size in enumerate(cardinalities)]
    return torch.cat([table.numeric, table.observed[:, :n_numeric], *codes], dim=1).float()


def _predict(model: TrainedModel, raw: LinearProbe | None, test: Part) -> tuple[pl.DataFrame, Tensor]:
    """Predictions for all test rows, and the flat embedding of the first of them."""
    frames, sample = [], []
    for start in range(0, len(test.labels), CHUNK):
        part = test.take(torch.arange(start, min(start + CHUNK, len(test.labels)), device=test.labels.device))
        embedding = embed(model.network, part.table)
        flat = embedding.mean.flatten(1)
        if start < LATENT_ROWS:
            sample.append(flat[: LATENT_ROWS - start])
        columns = {ROW: part.rows, "label": part.labels.cpu().numpy()}
        uncertainty = model.latent_uncertainty(embedding)
        if uncertainty is not None:
            columns["uncertainty"] = uncertainty.cpu().numpy()
        columns |= _outputs("p", model.probe, flat, 1.0 if model.fitted is None else model.fitted.temperature)
        columns |= _outputs("raw", raw, raw_features(part.table, model.preprocessor))
        frames.append(pl.DataFrame(columns))
    return pl.concat(frames), torch.cat(sample)


def _outputs(prefix: str, linear: LinearProbe | None, x: Tensor, temperature: float = 1.0) -> dict[str, np.ndarray]:
    if linear is None:
        return {}
    output = linear.predict(x).double()
    output = (output / temperature).softmax(1) if output.shape[1] > 1 else output
    return {f"{prefix}{number}": column.cpu().numpy() for number, column in enumerate(output.T)}


def classified(predictions: pl.DataFrame, prefix: str) -> Classified:
    """Class probabilities of a probe (`p` or `raw`) on the rows whose label is known."""
    known = predictions.filter(pl.col("label").is_not_nan())
    probabilities = known.select(pl.col(rf"^{prefix}\d+$")).to_numpy()
    return Classified(probabilities, known["label"].cast(pl.Int64).to_numpy())


def _probe_metrics(predictions: pl.DataFrame, label: Label | None) -> dict[str, float]:
    if label is None or predictions["label"].is_nan().all():
        return {}
    metrics: dict[str, float] = {}
    for group, prefix in (("probe", "p"), ("raw", "raw")):
        if label.classes:
            values = classification_metrics(classified(predictions, prefix))
        else:
            known = predictions.filter(pl.col("label").is_not_nan())
            values = regression_metrics(known[f"{prefix}0"].to_numpy(), known["label"].to_numpy())
        metrics |= {f"{group}/{name}": value for name, value in values.items()}
    return metrics


def _objective_metrics(model: TrainedModel, table: TableTensors, pretrained: Pretrained) -> dict[str, float]:
    """Terms on the test rows and their headline (`elbo/test`, `prediction/test`), with that of the validation rows."""
    config = model.config
    trainer = Trainer(
        network=model.network, tables=(table, table), objective=config.objective, masking=config.masking,
        training=config.training,
    )  # fmt: skip
    group = trainer.objective.headline
    named = trainer.objective.named(trainer.evaluate_terms(table))
    validation = pretrained.curves()[pretrained.best_epoch][f"validation/{group}"]
    metrics = {f"{group}/{name}": value for name, value in named.items() if name != group}
    return metrics | {f"{group}/test": named[group], f"{group}/val": validation}


def _latent_metrics(model: TrainedModel, table: TableTensors, embedding: Tensor) -> dict[str, float]:
    """Whether the embedding is alive, and Var-T-JEPA's s_x and z beside their sampling floors."""
    metrics = {"latent/active_units": float(active_units(embedding)), "latent/rankme": rankme(embedding)}
    if isinstance(model.network, VarTJEPANetwork):
        random = Randomness.seeded(model.config.training.seed, device=embedding.device)
        found = table_diagnostics(model.network, table.rows(slice(0, AGGREGATE_ROWS)), random)
        metrics |= {f"latent/{name}": value for name, value in found.items()}
    return metrics


def _map(embedding: Tensor) -> Tensor:
    """First two principal components [N, 2]."""
    centered = embedding - embedding.mean(0)
    with initial_weights(0):  # the decomposition draws from torch's one global generator
        _, _, directions = torch.svd_lowrank(centered, q=min(4, *centered.shape), niter=4)
    points = centered @ directions[:, :2]
    return torch.nn.functional.pad(points, (0, 2 - points.shape[1]))
