"""Step 7: whether the model knows what it does not know; picks its uncertainty, certifies it, draws the figures."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from matplotlib.figure import Figure
from prefect import task
from torch import Tensor

from tasks.retrain.generate import Generated
from tasks.retrain.preprocess import Prepared
from tasks.retrain.pretrain import Pretrained
from tasks.retrain.probe import Probed, classified, measured_part
from tasks.steps.files import write_text
from tasks.steps.log import log
from tasks.steps.reuse import reuse, step_folder
from varjepa import plots
from varjepa.config import RetrainConfig
from varjepa.config.heads import MEASURE
from varjepa.data.encode.encoded import read_sample
from varjepa.data.read.sources import ROW
from varjepa.evaluation.latents.latents import predictor_residuals
from varjepa.evaluation.uncertainty.calibration import ks_uniform, pit_values, recalibrated
from varjepa.evaluation.uncertainty.certificate import Certificate, certify
from varjepa.evaluation.uncertainty.compare_measures import (
    BASELINE,
    Comparison,
    against_truth,
    choose,
    class_coverage,
    compare,
    family_level,
)
from varjepa.evaluation.uncertainty.metrics import Classified, calibration_metrics, uncertainty_metrics
from varjepa.evaluation.uncertainty.selective import Floats, oracle, risk_coverage, selective_metrics
from varjepa.inference.generator.table_generator import batches
from varjepa.inference.measures import Measures
from varjepa.inference.model import TrainedModel
from varjepa.inference.storage import load_generator, load_model, save_model
from varjepa.models.embedding import embed
from varjepa.models.var_t_jepa import VarTJEPANetwork
from varjepa.nn.random import Randomness

PIT_ROWS = 2000
"""Rows of a part whose latents are compared with the predictor's distribution."""

CHUNK = 1024
"""Rows whose measures are computed at a time."""


@dataclass(frozen=True)
class Calibrated:
    """A finished model, and what is known of its uncertainty.

    Attributes:
        model: folder of the model (see `varjepa.inference.storage`).
        figures: folder of PNG files.
        tables: folder with `measures.csv` (every measure on the test rows, beside maximum probability),
            `uncertainty.json` (measure, reason, temperature, coverage per class) and `certificate.json`.
        metrics: selective/... (latent, for kinds that have it), selective_msp/..., selective_shipped/...,
            uncertainty/MEASURE_..., ambiguity/MEASURE_... (where it is known), calibration/..., certificate/...,
            generator/....
        said: what was decided, in words.
    """

    model: Path
    figures: Path
    tables: Path
    metrics: dict[str, float]
    said: dict[str, str]


@dataclass(frozen=True)
class _Steps:
    """What came before."""

    prepared: Prepared
    pretrained: Pretrained
    generated: Generated
    probed: Probed


@dataclass(frozen=True)
class _Measured:
    """Labelled rows of one part: every measure, whether the probe is wrong, class and number of the row."""

    measures: dict[MEASURE, Floats]
    error: np.ndarray
    labels: np.ndarray
    rows: np.ndarray


@task(name="calibrate", task_run_name="calibrate")
def calibrate(
    prepared: Prepared, pretrained: Pretrained, generated: Generated, probed: Probed, config: RetrainConfig
) -> Calibrated:
    """Chooses on validation rows, certifies on calibration rows, measures on test rows, and draws the figures."""
    folder = step_folder("calibrate", str(probed.model), str(generated.folder), code=__name__)
    steps = _Steps(prepared, pretrained, generated, probed)
    return reuse(folder, Calibrated, lambda: _calibrate(steps, config, folder))


def _calibrate(steps: _Steps, config: RetrainConfig, folder: Path) -> Calibrated:
    prepared, generated, probed = steps.prepared, steps.generated, steps.probed
    model = load_model(probed.model, config.training.device)
    predictions, curves = pl.read_parquet(probed.predictions), steps.pretrained.curves()
    drawings, tables = folder / "figures", folder / "tables"
    for target in (drawings, tables):
        target.mkdir(exist_ok=True)
    figures = {
        "elbo_curves" if "train/elbo" in curves[0] else "training_curves":
            plots.training_curves(curves, steps.pretrained.best_epoch),
        "embedding_map": _embedding_map(model, predictions, np.load(probed.points)),
    }  # fmt: skip
    metrics = {"generator/loss": generated.loss} if generated.folder is not None else {}
    if isinstance(model.network, VarTJEPANetwork):
        more, drawn = _latent_calibration(model, model.network, prepared)
        metrics, figures = metrics | more, figures | drawn
    if "probe/accuracy" in probed.metrics and model.fitted is not None:
        model, more, drawn = _uncertainty(model, prepared, predictions, tables)
        metrics, figures = metrics | more, figures | drawn
    if generated.folder is not None:
        generator = load_generator(generated.folder, model.network, model.preprocessor, config)
        model = replace(model, generator=generator)
    for name, figure in figures.items():
        figure.savefig(drawings / f"{name}.png")
    save_model(folder / "model", model)
    return Calibrated(folder / "model", drawings, tables, metrics, _said(model))


def _said(model: TrainedModel) -> dict[str, str]:
    """The measure that ships and the certificate, in words."""
    fitted = model.fitted
    if fitted is None or not fitted.reason:
        return {}
    certificate = fitted.certificate
    promise = "none: there are no calibration rows"
    if certificate is not None:
        wanted = (
            f"at least {certificate.accuracy:.1%} of accepted rows right, with {certificate.confidence:.0%} confidence"
        )
        promise = f"{wanted}; {certificate.reason}"
    return {"uncertainty": f"{fitted.measure}: {fitted.reason}", "certificate": promise}


def _uncertainty(
    model: TrainedModel, prepared: Prepared, predictions: pl.DataFrame, tables: Path
) -> tuple[TrainedModel, dict[str, float], dict[str, Figure]]:
    """Every measure on validation and test rows, the choice among them, and the certificate."""
    fitted, section, result = model.fitted, model.config.uncertainty, classified(predictions, "p")
    measures, label = model.measures(), model.preprocessor.label
    assert fitted is not None  # noqa: S101 (the caller looked)
    assert measures is not None  # noqa: S101
    assert label is not None  # noqa: S101
    names = measures.available()
    validation, test = (_measured(measures, prepared, model, part, names) for part in ("validation", "test"))
    compared = compare(test.measures, test.error)
    name, reason = _chosen(section.score, validation, names)
    held = _measured(measures, prepared, model, "calibration", [name])
    certificate = _certificate(held, validation, test, name, model) if len(held.error) else None
    log.info("uncertainty by %s: %s", name, reason)
    if certificate is not None:
        log.info("certificate for %.1f%%: %s", 100 * certificate.accuracy, certificate.reason)
    metrics = uncertainty_metrics(result, _latent(predictions.filter(pl.col("label").is_not_nan())))
    shipped = selective_metrics(test.measures[name], test.error)
    metrics |= {f"selective_shipped/{key}": value for key, value in shipped.items()}
    metrics |= {f"calibration/{key}": value for key, value in calibration_metrics(result).items()}
    metrics |= {
        f"uncertainty/{key}_{metric}": one.metrics[metric] for key, one in compared.items() for metric in
        ("aurc", "failure_auroc")
    }  # fmt: skip
    if section.known is not None:
        known = _known(prepared.clean, section.known, test.rows)
        metrics |= {f"ambiguity/{key}": value for key, value in against_truth(test.measures, known).items()}
    metrics |= _kept(certificate, test.measures[name], test.error)
    _measure_table(compared).write_csv(tables / "measures.csv")
    coverage = class_coverage(test.measures[name], test.labels, label.classes)
    facts = {"measure": name, "reason": reason, "temperature": fitted.temperature, "coverage_80_per_class": coverage}
    write_text(tables / "uncertainty.json", json.dumps(facts, indent=1))
    if certificate is not None:
        write_text(tables / "certificate.json", certificate.model_dump_json(indent=1))
    finished = replace(fitted, measure=name, reason=reason, certificate=certificate)
    figures = _uncertainty_figures(result, test, name, metrics["calibration/ece"], compared)
    return replace(model, fitted=finished), metrics, figures


def _measured(
    measures: Measures, prepared: Prepared, model: TrainedModel, part_name: str, names: list[MEASURE]
) -> _Measured:
    part = measured_part(prepared.encoded, model.preprocessor, part_name, model.config).labelled().to(model.device)
    found: dict[MEASURE, list[Tensor]] = {one: [] for one in names}
    wrong = [torch.zeros(0, dtype=torch.bool)]
    for rows in batches(len(part.labels), CHUNK):
        table = part.table.rows(rows)
        embedding = embed(model.network, table)
        for one, values in measures(table, embedding, names).items():
            found[one].append(values.cpu())
        predicted = measures.probabilities(embedding.mean.flatten(1)).argmax(1)
        wrong.append((predicted != part.labels[rows].long()).cpu())
    joined = {name: torch.cat(values).numpy() if values else np.zeros(0) for name, values in found.items()}
    return _Measured(joined, torch.cat(wrong).numpy(), part.labels.long().cpu().numpy(), part.rows)


def _chosen(wanted: Literal["auto", MEASURE], validation: _Measured, names: list[MEASURE]) -> tuple[MEASURE, str]:
    """The measure that ships, and why."""
    if wanted in names:
        return wanted, "the configuration names it"
    if wanted != "auto":
        log.warning("This model has no %s: the measure is chosen as for auto.", wanted)
    if not validation.error.any() or validation.error.all():
        return "max_probability", "there are no errors among the validation rows to rank, or nothing but errors"
    name, reason = choose(compare(validation.measures, validation.error, level=family_level(len(names))))
    return name, reason


def _certificate(
    held: _Measured, validation: _Measured, test: _Measured, name: MEASURE, model: TrainedModel
) -> Certificate:
    section = model.config.uncertainty
    other = validation.measures[name] if len(validation.error) else test.measures[name]
    return certify(
        held.measures[name], ~held.error, other, accuracy=section.accuracy, confidence=section.confidence
    )  # fmt: skip


def _kept(certificate: Certificate | None, uncertainty: Floats, error: np.ndarray) -> dict[str, float]:
    """What the certificate does on the test rows."""
    if certificate is None:
        return {}
    accept = uncertainty <= (-np.inf if certificate.threshold is None else certificate.threshold)
    kept = {"certificate/promised": certificate.accuracy, "certificate/coverage": float(accept.mean())}
    return kept | ({"certificate/accuracy": float(1 - error[accept].mean())} if accept.any() else {})


def _known(clean: Path, column: str, rows: np.ndarray) -> Floats:
    """The known ambiguity of rows, in their order."""
    values = pl.scan_parquet(clean).filter(pl.col(ROW).is_in(rows.tolist())).select(ROW, column).collect()
    return values.sort(ROW)[column].cast(pl.Float64).to_numpy()[np.argsort(np.argsort(rows))]


def _measure_table(compared: dict[MEASURE, Comparison]) -> pl.DataFrame:
    """One line per measure, the best AURC first."""
    rows = [
        {"measure": name, **one.metrics, "aurc_difference": one.difference, "low": one.low, "high": one.high}
        for name, one in compared.items()
    ]
    return pl.DataFrame(rows).sort("aurc")


def _latent_calibration(
    model: TrainedModel, network: VarTJEPANetwork, prepared: Prepared
) -> tuple[dict[str, float], dict[str, Figure]]:
    """PIT of target latents under the predictor, as it is and sent through that of validation rows."""
    known, pit = (_latent_pit(model, network, prepared, part) for part in ("validation", "test"))
    if not pit.size:  # with a single feature there is nothing to predict
        return {}, {}
    mended = recalibrated(pit, known)
    metrics = {
        "calibration/latent_pit_ks": ks_uniform(pit),
        "calibration/latent_pit_ks_recalibrated": ks_uniform(mended),
    }
    return metrics, {"latent_pit": plots.latent_pit({"as trained": pit, "recalibrated": mended})}


def _latent_pit(model: TrainedModel, network: VarTJEPANetwork, prepared: Prepared, name: str) -> np.ndarray:
    part = read_sample(prepared.encoded, model.preprocessor, name, most=PIT_ROWS, seed=0)
    random = Randomness.seeded(model.config.training.seed, device=model.device)
    # Small batches: mask sizes are drawn once per batch, and many sizes should be seen.
    table = part.table.to(model.device)
    residuals = predictor_residuals(network, table, model.config.masking, random, batch_size=128)
    return pit_values(residuals.double().cpu().numpy())


def _latent(predictions: pl.DataFrame) -> Floats | None:
    """Latent uncertainty of rows; None where the kind of model has none."""
    known = "uncertainty" in predictions.columns
    return predictions["uncertainty"].to_numpy().astype(np.float64) if known else None


def _embedding_map(model: TrainedModel, predictions: pl.DataFrame, points: np.ndarray) -> Figure:
    shown = predictions.head(len(points))
    label = model.preprocessor.label
    labels = shown["label"].to_numpy() if label is not None else None
    return plots.embedding_map(points, _latent(shown), labels, label.classes if label else ())


def _uncertainty_figures(
    result: Classified, test: _Measured, shipped: str, ece: float, compared: dict[MEASURE, Comparison]
) -> dict[str, Figure]:
    loss = result.error.astype(np.float64)
    shown = dict.fromkeys(("scale_mean", "weighted_scale", BASELINE, shipped))
    measures = {name: test.measures[name] for name in shown if name in test.measures}
    curves = {name.replace("_", " "): risk_coverage(values, loss) for name, values in measures.items()}
    differences = {name: (one.difference, one.low, one.high) for name, one in compared.items() if name != BASELINE}
    return {
        "risk_coverage": plots.risk_coverage_plot(curves | {"oracle": oracle(loss)}),
        "reliability": plots.reliability_diagram(result.reliability, ece),
        "uncertainty_measures": plots.measures_plot(differences),
    }
