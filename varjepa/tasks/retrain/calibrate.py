"""Step 7: choose the model's uncertainty measure, certify it, and draw the figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from matplotlib.figure import Figure

from varjepa import plots
from varjepa.amounts import share
from varjepa.config import RetrainConfig
from varjepa.config.heads import MEASURE
from varjepa.data.cells import by_name
from varjepa.data.encode.encoded import Part, read_sample
from varjepa.data.read.sources import ROW
from varjepa.errors import listed
from varjepa.evaluation.arrays import Bools
from varjepa.evaluation.bootstrap import Interval
from varjepa.evaluation.gate.groups import row_groups
from varjepa.evaluation.latents.pit import pit_distances
from varjepa.evaluation.uncertainty.calibration import SMALLEST_PROBABILITY
from varjepa.evaluation.uncertainty.compare_measures import BASELINE, Comparison, against_truth, class_coverage
from varjepa.evaluation.uncertainty.metrics import calibration_metrics, uncertainty_metrics
from varjepa.evaluation.uncertainty.selective import Floats, oracle, risk_coverage
from varjepa.inference.calibration import Calibration, calibrate_model
from varjepa.inference.diagnostics import latent_pit
from varjepa.inference.drift_counts import unseen_classes
from varjepa.inference.interval_storage import save_intervals, save_sets
from varjepa.inference.kept_embeddings import Embedder
from varjepa.inference.model import TrainedModel
from varjepa.inference.number_calibration import calibrate_numbers
from varjepa.inference.probing import classified, labelled_rows
from varjepa.inference.storage import load_parts, model_parts, save_uncertainty
from varjepa.tasks.retrain.embeddings import embedder_of
from varjepa.tasks.retrain.number_results import number_results
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.retrain.probe import Probed, measured_part
from varjepa.tasks.retrain.set_results import set_decisions, set_results
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.json_text import json_text
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse

STEP = Step("calibrate", __name__, settings=("uncertainty", "gate.subgroups"))

PIT_ROWS = 2000
"""Rows of a part whose latents are compared with the predictor's distribution."""


@dataclass(frozen=True)
class Calibrated:
    """Results of a calibration.

    Attributes:
        folder: with the finished uncertainty, a file of the model; without classes there is none.
        figures: folder of PNG files.
        tables: folder with `measures.csv` (every measure on the test rows, compared with maximum probability),
            `uncertainty.json` (measure, reason, temperature, coverage per class) and `certificate.json`.
        metrics: selective/... (latent, for kinds that have it), selective_msp/..., selective_shipped/...,
            uncertainty/MEASURE_..., ambiguity/MEASURE_... (where it is known), calibration/..., certificate/...,
            set/..., of numbers interval/... and head/crps.
        decisions: the measure that ships, the certificate, and sets or intervals, as text for people.
        intervals: 95% intervals of metrics that follow from the calibration's own results.
    """

    folder: Path
    figures: Path
    tables: Path
    metrics: dict[str, float]
    decisions: dict[str, str]
    intervals: dict[str, Interval] = field(default_factory=dict)


@task(name="calibrate", task_run_name="calibrate")
def calibrate(prepared: Prepared, pretrained: Pretrained, probed: Probed, config: RetrainConfig) -> Calibrated:
    """Chooses on validation rows, certifies on calibration rows, measures on test rows, and draws the figures."""
    folder = STEP.folder(config, str(probed.folder))
    return reuse(folder, Calibrated, lambda: _calibrate(prepared, pretrained, probed, config, folder))


def _calibrate(
    prepared: Prepared, pretrained: Pretrained, probed: Probed, config: RetrainConfig, folder: Path
) -> Calibrated:
    parts = model_parts(prepared.preprocessor.parent, pretrained.weights.parent, probed.folder)
    model = load_parts(config, parts, config.training.device)
    predictions, curves = pl.read_parquet(probed.predictions), pretrained.curves()
    drawings, tables = folder / "figures", folder / "tables"
    for target in (drawings, tables):
        target.mkdir(exist_ok=True)
    # The file names of the figures are part of a run's artifacts: a Var-T-JEPA has ELBO curves.
    curves_name = "elbo_curves" if "train/elbo" in curves[0] else "training_curves"
    figures = {
        curves_name: plots.training_curves(curves, pretrained.best_epoch),
        "embedding_map": _embedding_map(model, predictions, np.load(probed.points)),
    }
    metrics, drawn = _latent_calibration(model, prepared)
    figures |= drawn
    decisions: dict[str, str] = {}
    intervals: dict[str, Interval] = {}
    if "head/accuracy" in probed.metrics or model.intervals is not None:
        validation, calibration, test = (
            measured_part(prepared, model.preprocessor, name, config) for name in ("validation", "calibration", "test")
        )
        measured = {"validation": validation, "calibration": calibration, "test": test}
        kind = _classes_calibrated if model.intervals is None else _numbers_calibrated
        embedder = embedder_of(prepared, pretrained, config, model.network, *measured)
        found = kind(model, measured, prepared, predictions, folder, embedder=embedder)
        metrics, figures = metrics | found.metrics, figures | found.figures
        decisions, intervals = found.decisions, found.intervals
    for name, figure in figures.items():
        figure.savefig(drawings / f"{name}.png")
    return Calibrated(folder, drawings, tables, metrics, decisions, intervals)


class _Found(NamedTuple):
    """What a calibration found: metrics and their intervals, figures, and decisions as text for people."""

    metrics: dict[str, float]
    intervals: dict[str, Interval]
    figures: dict[str, Figure]
    decisions: dict[str, str]


def _numbers_calibrated(
    model: TrainedModel,
    parts: dict[str, Part],
    _prepared: Prepared,
    _predictions: pl.DataFrame,
    folder: Path,
    *,
    embedder: Embedder,
) -> _Found:
    outcome = calibrate_numbers(model, **parts, embedder=embedder)
    results = number_results(outcome, folder / "tables")
    save_intervals(folder, outcome.fitted)
    return _Found(*results, outcome.decisions)


def _classes_calibrated(
    model: TrainedModel,
    parts: dict[str, Part],
    prepared: Prepared,
    predictions: pl.DataFrame,
    folder: Path,
    *,
    embedder: Embedder,
) -> _Found:
    outcome, tables = calibrate_model(model, **parts, embedder=embedder), folder / "tables"
    metrics, figures = _measure(outcome, prepared, predictions, tables)
    groups = _subgroups(prepared.clean, model, outcome.test.rows)
    boosted = classified(predictions, "boosted").probabilities[:, : len(_classes(model))]
    sets, intervals = set_results(outcome, boosted, groups, tables)
    decisions = _decisions(outcome) | set_decisions(outcome) | _unseen_classes(prepared, model)
    save_uncertainty(folder, outcome.fitted)
    if outcome.sets is not None:
        save_sets(folder, outcome.sets)
    return _Found(metrics | sets, intervals, figures, decisions)


def _subgroups(clean: Path, model: TrainedModel, rows: np.ndarray) -> dict[str, Bools]:
    """Which rows belong to which subgroup of `gate.subgroups`."""
    names = model.config.gate.subgroups
    if not names:
        return {}
    frame = pl.scan_parquet(clean).filter(pl.col(ROW).is_in(rows.tolist())).select(ROW, *by_name(names)).collect()
    # Sorted by row number, then put into the order of `rows` by their ranks.
    return row_groups(frame.sort(ROW)[np.argsort(np.argsort(rows))], None, names)


def _unseen_classes(prepared: Prepared, model: TrainedModel) -> dict[str, str]:
    """Which classes training has not seen, and how many rows of each part have them, as text for people; often none."""
    label, parts = model.preprocessor.label, []
    if label is None:
        return {}
    for part in ("validation", "calibration", "test"):
        words = unseen_classes(prepared.raw(part), label)
        if words:
            named = listed(words, limit=5)
            parts.append(f"{sum(words.values()):,} of {prepared.parts[part]:,} {part} rows ({named})")
    if not parts:
        return {}
    text = (
        f"{'; '.join(parts)}. Training rows have no such class, so these rows count as errors, with a probability of 0 "
        f"(taken for {SMALLEST_PROBABILITY:.0e} in the log loss)"
    )
    log.warning("classes that training has not seen: %s", text)
    return {"unseen classes": text}


def _decisions(outcome: Calibration) -> dict[str, str]:
    """The measure that ships and the certificate, as text for people."""
    certificate, promise = outcome.fitted.certificate, "none: there are no calibration rows"
    if certificate is not None:
        promise = certificate.decision("right")
        log.info("certificate for %s: %s", share(certificate.accuracy), certificate.reason)
    log.info("uncertainty by %s: %s", outcome.fitted.measure, outcome.fitted.reason)
    return {"uncertainty": f"{outcome.fitted.measure}: {outcome.fitted.reason}", "certificate": promise}


def _measure(
    outcome: Calibration, prepared: Prepared, predictions: pl.DataFrame, tables: Path
) -> tuple[dict[str, float], dict[str, Figure]]:
    """Returns metrics and figures of a calibration, and writes its tables."""
    result, test, model = classified(predictions, "head"), outcome.test, outcome.model
    metrics = uncertainty_metrics(result, _latent(labelled_rows(predictions))) | outcome.metrics
    metrics |= {f"calibration/{name}": value for name, value in calibration_metrics(result).items()}
    # Simulated tables may have a column with the true ambiguity of each row.
    column = model.config.uncertainty.known
    if column is not None:
        ambiguity = against_truth(test.measures, _known_ambiguity(prepared.clean, column, test.rows))
        metrics |= {f"ambiguity/{name}": value for name, value in ambiguity.items()}
    _measure_table(outcome.compared).write_csv(tables / "measures.csv")
    facts = {
        "measure": outcome.fitted.measure,
        "reason": outcome.fitted.reason,
        "temperature": outcome.fitted.temperature,
        "coverage_80_per_class": class_coverage(test.measures[outcome.fitted.measure], test.labels, _classes(model)),
    }
    write_text(tables / "uncertainty.json", json_text(facts, indent=1))
    if outcome.fitted.certificate is not None:
        write_text(tables / "certificate.json", outcome.fitted.certificate.model_dump_json(indent=1))
    error = result.error.astype(np.float64)
    shown = {name: test.measures[name] for name in ("scale_mean", "weighted_scale", BASELINE, outcome.fitted.measure)
             if name in test.measures}  # fmt: skip
    curves = {name.replace("_", " "): risk_coverage(values, error) for name, values in shown.items()}
    figures = {"reliability": plots.reliability_diagram(result.reliability, metrics["calibration/ece"])}
    if error.any():  # without an error, there is nothing to rank, and every line lies at 0
        figures |= {
            "risk_coverage": plots.risk_coverage_plot(curves | {"oracle": oracle(error)}),
            "uncertainty_measures": plots.measures_plot(_differences(outcome.compared)),
        }
    return metrics, figures


def _known_ambiguity(clean: Path, column: str, rows: np.ndarray) -> Floats:
    """The known ambiguity of rows, in their order."""
    values = pl.scan_parquet(clean).filter(pl.col(ROW).is_in(rows.tolist())).select(ROW, *by_name([column])).collect()
    # Sorted by row number, then put into the order of `rows` by their ranks.
    return values.sort(ROW)[column].cast(pl.Float64).to_numpy()[np.argsort(np.argsort(rows))]


def _measure_table(compared: Mapping[MEASURE, Comparison]) -> pl.DataFrame:
    """One line per measure, the best AURC first."""
    rows = [
        {"measure": name, **comparison.metrics, "aurc_difference": comparison.difference, "low": comparison.low,
         "high": comparison.high}
        for name, comparison in compared.items()
    ]  # fmt: skip
    return pl.DataFrame(rows).sort("aurc")


def _differences(compared: Mapping[MEASURE, Comparison]) -> dict[str, tuple[float, float, float]]:
    return {
        name: (comparison.difference, comparison.low, comparison.high)
        for name, comparison in compared.items()
        if name != BASELINE
    }


def _latent_calibration(model: TrainedModel, prepared: Prepared) -> tuple[dict[str, float], dict[str, Figure]]:
    """Distances of the target latents' PIT from uniform per feature and dimension, and what chance would show."""
    validation, test = (_pit(model, prepared, name, stream) for stream, name in enumerate(("validation", "test")))
    distances = None
    if validation is not None and test is not None:
        distances = pit_distances(validation, test, seed=model.config.training.seed)
    if distances is None:  # a single feature leaves no target
        return {}, {}
    named = {"": distances.trained, "_recalibrated": distances.recalibrated}
    metrics = {f"calibration/latent_pit_ks_median{name}": float(np.median(values)) for name, values in named.items()}
    metrics |= {f"calibration/latent_pit_ks_worst{name}": float(values.max()) for name, values in named.items()}
    metrics["calibration/latent_pit_ks_median_by_chance"] = distances.median_by_chance
    metrics["calibration/latent_pit_ks_worst_by_chance"] = distances.worst_by_chance
    return metrics, {"latent_pit": plots.latent_pit(distances)}


def _pit(model: TrainedModel, prepared: Prepared, name: str, stream: int) -> Floats | None:
    part = read_sample(prepared.encoded, model.preprocessor, name, most=PIT_ROWS, seed=0)
    if part.clusters is not None:  # one row of each cluster: what chance would show is known of independent rows
        firsts = np.sort(np.unique(part.clusters, return_index=True)[1])
        part = part.take(torch.from_numpy(firsts))
    return latent_pit(model, part.table.to(model.device), stream=stream)


def _latent(predictions: pl.DataFrame) -> Floats | None:
    """Latent uncertainty of rows; None where the kind of model has none."""
    if "uncertainty" not in predictions.columns:
        return None
    return predictions["uncertainty"].to_numpy().astype(np.float64)


def _classes(model: TrainedModel) -> tuple[str, ...]:
    label = model.preprocessor.label
    return () if label is None else label.classes


def _embedding_map(model: TrainedModel, predictions: pl.DataFrame, points: np.ndarray) -> Figure:
    shown = predictions.head(len(points))
    labels = None if model.preprocessor.label is None else shown["label"].to_numpy()
    return plots.embedding_map(points, _latent(shown), labels, _classes(model))
