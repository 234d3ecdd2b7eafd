"""Step 6: whether the model knows what it does not know; metrics and figures from the test predictions."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from prefect import task

from tasks.prepare import Prepared
from tasks.pretrain import Pretrained
from tasks.probe import Probed, classified
from tasks.steps import reuse, step_folder
from varjepa import plots
from varjepa.config import RetrainConfig
from varjepa.data.encoded import read_part
from varjepa.evaluation.calibration import ks_uniform, pit_values
from varjepa.evaluation.latents import predictor_residuals
from varjepa.evaluation.report import Classified, uncertainty_metrics
from varjepa.evaluation.selective import oracle, risk_coverage
from varjepa.inference.model import TrainedModel, load_model
from varjepa.nn.random import Randomness

PIT_ROWS = 2000
"""Test rows whose latents are compared with the predictor's distribution."""


@dataclass(frozen=True)
class Calibrated:
    """Figures and metrics of uncertainty.

    Attributes:
        figures: folder of PNG files.
        metrics: selective/..., selective_msp/..., calibration/....
    """

    figures: Path
    metrics: dict[str, float]


@task(name="calibrate", task_run_name="calibrate")
def calibrate(prepared: Prepared, pretrained: Pretrained, probed: Probed, config: RetrainConfig) -> Calibrated:
    """Measures uncertainty on the test rows and draws the figures of the run."""
    folder = step_folder("calibrate", str(probed.model))
    return reuse(folder, Calibrated, lambda: _calibrate(prepared, pretrained, probed, config, folder))


def _calibrate(
    prepared: Prepared, pretrained: Pretrained, probed: Probed, config: RetrainConfig, folder: Path
) -> Calibrated:
    model = load_model(probed.model, config.training.device)
    predictions = pl.read_parquet(probed.predictions)
    pit = _latent_pit(model, prepared)
    metrics = {"calibration/latent_pit_ks": ks_uniform(pit)}
    figures = {
        "elbo_curves": plots.elbo_curves(pretrained.curves(), pretrained.best_epoch),
        "latent_pit": plots.latent_pit(pit, metrics["calibration/latent_pit_ks"]),
        "embedding_map": _embedding_map(model, predictions, np.load(probed.points)),
    }
    if "probe/accuracy" in probed.metrics:
        result = classified(predictions, "p")
        latent = predictions.filter(pl.col("label").is_not_nan())["uncertainty"].to_numpy().astype(np.float64)
        metrics |= uncertainty_metrics(result, latent)
        figures |= _uncertainty_figures(result, latent, metrics["calibration/ece"])
    target = folder / "figures"
    target.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(target / f"{name}.png")
    return Calibrated(target, metrics)


def _latent_pit(model: TrainedModel, prepared: Prepared) -> np.ndarray:
    part = read_part(prepared.encoded, model.preprocessor, "test").sample(PIT_ROWS, seed=0)
    device = next(model.network.parameters()).device
    random = Randomness.seeded(model.config.training.seed, device=device)
    # Small batches: mask sizes are drawn once per batch, and many sizes should be seen.
    residuals = predictor_residuals(model.network, part.table.to(device), model.config.masking, random, batch_size=128)
    return pit_values(residuals.double().cpu().numpy())


def _embedding_map(model: TrainedModel, predictions: pl.DataFrame, points: np.ndarray) -> Figure:
    shown = predictions.head(len(points))
    label = model.preprocessor.label
    labels = shown["label"].to_numpy() if label is not None else None
    return plots.embedding_map(points, shown["uncertainty"].to_numpy(), labels, label.classes if label else ())


def _uncertainty_figures(result: Classified, latent: np.ndarray, ece: float) -> dict[str, Figure]:
    loss = result.error.astype(np.float64)
    curves = {
        "latent uncertainty": risk_coverage(latent, loss),
        "maximum probability": risk_coverage(result.doubt, loss),
        "oracle": oracle(loss),
    }
    return {
        "risk_coverage": plots.risk_coverage_plot(curves),
        "reliability": plots.reliability_diagram(result.reliability, ece),
    }
