"""One cell of the benchmark: a predictor on one feature set of one table, all seeds in one computation."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from varjepa.config import ON_FRAMES, FeatureSet, PredictorName, PredictorSettings
from varjepa.data.cells import by_name
from varjepa.data.encode.encoded import Part, read_part
from varjepa.data.encode.features import Label
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.splits import PARTS
from varjepa.evaluation.benchmark.predictors import Fitted, embedding_inputs, fit_predictors, raw_inputs
from varjepa.evaluation.benchmark.tables import CellKey
from varjepa.evaluation.uncertainty.metrics import (
    Classified,
    classification_metrics,
    regression_metrics,
    uncertainty_metrics,
)
from varjepa.tasks.orchestration.runners import one_thread_each
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import reuse, step_folder
from varjepa.tasks.studies.embed_rows import Embedded

Metrics = dict[str, list[float]]
"""Metric -> one value per seed."""


@dataclass(frozen=True)
class Place:
    """Position of a cell in the benchmark's table.

    Attributes:
        dataset: name of the table.
        features: input of the predictor.
        predictor: its name.
        split: number of the split, from 0.
        encoder: number of the encoder, from 0; of raw features, number of the runs that stand beside those on it.
    """

    dataset: str
    features: FeatureSet
    predictor: PredictorName
    split: int
    encoder: int

    @property
    def key(self) -> CellKey:
        """The cell's key in comparisons, which cover all splits and encoders."""
        return self.dataset, self.features, self.predictor

    @property
    def name(self) -> str:
        """Name for people; the first split and the first encoder are not mentioned."""
        numbers = {"split": self.split, "runs" if self.features == "raw" else "encoder": self.encoder}
        return " ".join([*self.key, *(f"{word} {number + 1}" for word, number in numbers.items() if number)])


@dataclass(frozen=True)
class Plan(Place):
    """Input of a cell.

    Attributes:
        prepared: encoded rows.
        embedded: their embeddings; None for raw features.
        seeds: of the predictor, one per run.
    """

    prepared: Prepared
    embedded: Embedded | None
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Cell(Place):
    """A finished cell.

    Attributes:
        metrics: JSON file, metric on the test rows -> one value per seed.
        outputs: npz file: `test` and `validation` [R, N, C] probabilities (or values, C = 1), `label` and
            `validation_label` [N], `row` [N] of the test rows in the source, their `uncertainty` [N] and `cluster` [N]
            where there are any.
        best_epochs: per seed, from 1.
        drawn: settings of the trial that was chosen; empty for the first one.
        trained_on: labelled training rows.
        seconds: duration of fitting and measuring; a reused cell keeps it.
    """

    metrics: Path
    outputs: Path
    best_epochs: list[int]
    drawn: dict[str, float]
    trained_on: int
    seconds: float

    def values(self) -> Metrics:
        """Metrics on the test rows."""
        return json.loads(self.metrics.read_text(encoding="utf-8"))


@task(name="cell", task_run_name="{plan.name}")
def run_cell(plan: Plan, settings: PredictorSettings) -> Cell:
    """Fits the predictor once per seed on training rows, stops it on validation rows, measures on test rows."""
    # Raw features depend on the encoded rows alone.
    inputs = str(plan.prepared.encoded) if plan.embedded is None else plan.embedded.digested
    folder = step_folder("cell", plan.name, inputs, settings.model_dump(mode="json"), plan.seeds, code=__name__)
    # Cells run in parallel: more threads per cell would only compete.
    with one_thread_each():
        cell = reuse(folder, Cell, lambda: _run(plan, settings, folder))
    log.info("%s: %d seeds in %.0f s", plan.name, len(plan.seeds), cell.seconds)
    return cell


def _run(plan: Plan, settings: PredictorSettings, folder: Path) -> Cell:
    started = time.perf_counter()
    preprocessor = Preprocessor.read(plan.prepared.preprocessor)
    label = preprocessor.label
    if label is None:
        raise ValueError("a benchmark needs a label")
    parts = {name: read_part(plan.prepared.encoded, preprocessor, name) for name in PARTS}
    # bool [N]. Nothing can be learned from a label of an unknown class, but it is a test, and failed.
    labelled = {name: _labelled(part, label, learnable=name != "test") for name, part in parts.items()}
    inputs = {name: _inputs(plan, preprocessor, name, part, labelled[name]) for name, part in parts.items()}
    labels = {name: part.labels[labelled[name]] for name, part in parts.items()}
    fitted = fit_predictors(
        plan.predictor, (inputs["train"], labels["train"]), (inputs["validation"], labels["validation"]),
        inputs["test"], n_classes=len(label.classes), seeds=plan.seeds, settings=settings,
    )  # fmt: skip
    uncertainty = None if plan.embedded is None else plan.embedded.uncertainty()
    uncertainty = None if uncertainty is None else uncertainty[labelled["test"].numpy()]
    _keep(folder, fitted, labels, parts["test"].take(labelled["test"].nonzero().squeeze(1)), uncertainty)
    values = _metrics(fitted.test, labels["test"], label, uncertainty)
    write_text(folder / "metrics.json", json.dumps(values))
    return Cell(
        plan.dataset, plan.features, plan.predictor, plan.split, plan.encoder, folder / "metrics.json",
        folder / "outputs.npz", [epoch + 1 for epoch in fitted.best_epochs], fitted.drawn, len(labels["train"]),
        time.perf_counter() - started,
    )  # fmt: skip


def _labelled(part: Part, label: Label, *, learnable: bool) -> Tensor:
    """Which rows have a label; learnable: one that training has seen."""
    if learnable and label.classes:
        return part.labels < len(label.classes)  # false for NaN
    return torch.isfinite(part.labels)


def _inputs(plan: Plan, preprocessor: Preprocessor, name: str, part: Part, kept: Tensor) -> Any:
    """What the predictor reads of the rows `kept` of a part."""
    if plan.predictor in ON_FRAMES:
        columns = plan.prepared.raw(name).select(by_name(preprocessor.columns)).collect()
        return columns.filter(pl.Series(kept.numpy())).to_pandas()
    if plan.embedded is None:
        return raw_inputs(part.table, preprocessor.sizes).rows(kept)
    # Copied: torch does not support arrays that cannot be written, such as this memory map.
    return embedding_inputs(torch.from_numpy(np.array(plan.embedded.part(name)))).rows(kept)


def _keep(folder: Path, fitted: Fitted, labels: dict[str, Tensor], test: Part, uncertainty: np.ndarray | None) -> None:
    """Stores the outputs, so that other measures of uncertainty can be computed later."""
    kept: dict[str, Any] = {
        "test": fitted.test.numpy(),
        "validation": fitted.validation.numpy(),
        "label": labels["test"].numpy(),
        "validation_label": labels["validation"].numpy(),
        "row": test.rows,
    }
    kept |= {name: given for name, given in (("uncertainty", uncertainty), ("cluster", test.clusters))
             if given is not None}  # fmt: skip
    np.savez_compressed(folder / "outputs.npz", **kept)


def _metrics(outputs: Tensor, labels: Tensor, label: Label, uncertainty: np.ndarray | None) -> Metrics:
    per_seed = []
    for output in outputs.double().numpy():  # [N, C], one per seed
        if not label.classes:
            per_seed.append(regression_metrics(output[:, 0], labels.numpy()))
            continue
        result = Classified.of(output, labels.long().numpy())
        latent = None if uncertainty is None else uncertainty.astype(np.float64)
        per_seed.append(classification_metrics(result) | uncertainty_metrics(result, latent))
    return {name: [metrics[name] for metrics in per_seed] for name in per_seed[0]}
