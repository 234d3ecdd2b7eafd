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
from varjepa.evaluation.selective import Floats, oracle, risk_coverage
from varjepa.inference.model import TrainedModel, load_model
from varjepa.models.var_t_jepa import VarTJEPANetwork
from varjepa.nn.random import Randomness

PIT_ROWS = 2000
"""Test rows whose latents are compared with the predictor's distribution."""


@dataclass(frozen=True)
class Calibrated:
    """Figures and metrics of uncertainty.

    Attributes:
        figures: folder of PNG files.
        metrics: selective/... (for kinds with latent uncertainty), selective_msp/..., calibration/....
    """

    figures: Path
    metrics: dict[str, float]


@task(name="calibrate", task_run_name="calibrate")
def calibrate(prepared: Prepared, pretrained: Pretrained, probed: Probed, config: RetrainConfig) -> Calibrated:
    """Measures uncertainty on the test rows and draws the figures of the run."""
    folder = step_folder("calibrate", str(probed.model), code=__name__)
    return reuse(folder, Calibrated, lambda: _calibrate(prepared, pretrained, probed, config, folder))


def _calibrate(
    prepared: Prepared, pretrained: Pretrained, probed: Probed, config: RetrainConfig, folder: Path
) -> Calibrated:
    model = load_model(probed.model, config.training.device)
    predictions = pl.read_parquet(probed.predictions)
    curves = pretrained.curves()
    figures = {
        "elbo_curves" if "train/elbo" in curves[0] else "training_curves":
            plots.training_curves(curves, pretrained.best_epoch),
        "embedding_map": _embedding_map(model, predictions, np.load(probed.points)),
    }  # fmt: skip
    metrics = {}
    if isinstance(model.network, VarTJEPANetwork):
        pit = _latent_pit(model, model.network, prepared)
        metrics["calibration/latent_pit_ks"] = ks_uniform(pit)
        figures["latent_pit"] = plots.latent_pit(pit, metrics["calibration/latent_pit_ks"])
    if "probe/accuracy" in probed.metrics:
        result = classified(predictions, "p")
        latent = _uncertainty(predictions.filter(pl.col("label").is_not_nan()))
        metrics |= uncertainty_metrics(result, latent)
        figures |= _uncertainty_figures(result, latent, metrics["calibration/ece"])
    target = folder / "figures"
    target.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(target / f"{name}.png")
    return Calibrated(target, metrics)


def _uncertainty(predictions: pl.DataFrame) -> Floats | None:
    """Latent uncertainty of rows; None where the kind of model has none."""
    known = "uncertainty" in predictions.columns
    return predictions["uncertainty"].to_numpy().astype(np.float64) if known else None


def _latent_pit(model: TrainedModel, network: VarTJEPANetwork, prepared: Prepared) -> np.ndarray:
    part = read_part(prepared.encoded, model.preprocessor, "test").sample(PIT_ROWS, seed=0)
    device = next(network.parameters()).device
    random = Randomness.seeded(model.config.training.seed, device=device)
    # Small batches: mask sizes are drawn once per batch, and many sizes should be seen.
    residuals = predictor_residuals(network, part.table.to(device), model.config.masking, random, batch_size=128)
    return pit_values(residuals.double().cpu().numpy())


def _embedding_map(model: TrainedModel, predictions: pl.DataFrame, points: np.ndarray) -> Figure:
    shown = predictions.head(len(points))
    label = model.preprocessor.label
    labels = shown["label"].to_numpy() if label is not None else None
    return plots.embedding_map(points, _uncertainty(shown), labels, label.classes if label else ())


def _uncertainty_figures(result: Classified, latent: Floats | None, ece: float) -> dict[str, Figure]:
    loss = result.error.astype(np.float64)
    curves = {} if latent is None else {"latent uncertainty": risk_coverage(latent, loss)}
    curves |= {"maximum probability": risk_coverage(result.doubt, loss), "oracle": oracle(loss)}
    return {
        "risk_coverage": plots.risk_coverage_plot(curves),
        "reliability": plots.reliability_diagram(result.reliability, ece),
    }
