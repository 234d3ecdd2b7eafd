"""Diagnostics of a trained network on test rows without a label: its objective, its latents, a map of them."""

from torch import Tensor

from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.latents.components import principal_components
from varjepa.evaluation.latents.latents import active_units, predictor_residuals, rankme
from varjepa.evaluation.latents.table_latents import table_diagnostics
from varjepa.evaluation.uncertainty.calibration import pit_values
from varjepa.evaluation.uncertainty.selective import Floats
from varjepa.inference.model import TrainedModel
from varjepa.nn.random import Randomness
from varjepa.training.loop import Trainer

AGGREGATE_ROWS = 2000
"""Number of first rows for the diagnostics of s_x and z."""

PIT_BATCH = 128
"""Rows that share their mask sizes: sizes are drawn once per batch, and many sizes should occur."""


def objective_metrics(model: TrainedModel, table: TableTensors) -> tuple[str, dict[str, float]]:
    """The objective on rows outside of training.

    Returns:
        Its group of metrics (`elbo` or `prediction`), and the mean terms by name, `GROUP/TERM` and `GROUP/test`.
    """
    config = model.config
    # The trainer's own evaluation, so that test and validation terms are computed alike; nothing is trained.
    trainer = Trainer(
        network=model.network, tables=(table, table), objective=config.objective, masking=config.masking,
        training=config.training,
    )  # fmt: skip
    group, terms = trainer.objective.headline, trainer.objective.named(trainer.evaluate_terms(table))
    metrics = {f"{group}/{name}": value for name, value in terms.items() if name != group}
    return group, metrics | {f"{group}/test": terms[group]}


def latent_metrics(model: TrainedModel, table: TableTensors, embedding: Tensor) -> dict[str, float]:
    """Collapse diagnostics of the embedding, and s_x and z of variational kinds with their sampling floors.

    Args:
        model: the trained model.
        table: test rows, on its device.
        embedding: flat embeddings [N, D d] of the first of them.
    """
    metrics = {"latent/active_units": float(active_units(embedding)), "latent/rankme": rankme(embedding)}
    network = model.network.variational()
    if network is not None:
        random = Randomness.seeded(model.config.training.seed, device=embedding.device)
        values = table_diagnostics(network, table.rows(slice(0, AGGREGATE_ROWS)), random)
        metrics |= {f"latent/{name}": value for name, value in values.items()}
    return metrics


def latent_pit(model: TrainedModel, table: TableTensors) -> Floats | None:
    """PIT values of target latents under the predictor, uniform if it is calibrated.

    Returns:
        float64 [values]; None for kinds without a predictive distribution.
    """
    network = model.network.variational()
    if network is None:
        return None
    random = Randomness.seeded(model.config.training.seed, device=model.device)
    residuals = predictor_residuals(network, table, model.config.masking, random, batch_size=PIT_BATCH)
    return pit_values(residuals.double().cpu().numpy())


def embedding_points(embedding: Tensor) -> Tensor:
    """First two principal components [N, 2] of flat embeddings [N, F]."""
    return principal_components(embedding, 4, seed=0).project(embedding, 2)  # the last of four are the least exact
