"""Diagnostics of a trained network on test rows without a label: its objective, its latents, a map of them."""

from dataclasses import replace

import numpy as np
import torch
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

PIT_PAIRS = 512
"""At most this many pairs of feature and latent dimension have their PIT compared."""


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


def latent_pit(model: TrainedModel, table: TableTensors, *, stream: int) -> Floats | None:
    """PIT values of target latents under the predictor, uniform if it is calibrated.

    Args:
        model: the trained model.
        table: rows, on its device.
        stream: of masks and samples, not of the masks' sizes; two parts that are compared need different ones.

    Returns:
        float64 [N, P] for at most `PIT_PAIRS` pairs of feature and dimension, the same ones for every table; NaN where
        a feature is no target of a row. None for kinds without a predictive distribution.
    """
    network = model.network.variational()
    if network is None:
        return None
    seed, total = model.config.training.seed, table.observed.shape[1] * model.network.d_hidden
    chosen = np.random.default_rng([seed, 98]).permutation(total)[:PIT_PAIRS]
    # The sizes come from the host's stream: the same ones at the same rows of every part.
    random = replace(
        Randomness.seeded(seed, stream, device=model.device), host=Randomness.seeded(seed, device=model.device).host
    )
    pairs = torch.from_numpy(np.sort(chosen)).to(model.device)
    residuals = predictor_residuals(network, table, model.config.masking, random, pairs=pairs, batch_size=PIT_BATCH)
    return pit_values(residuals.double().cpu().numpy())


def embedding_points(embedding: Tensor) -> Tensor:
    """First two principal components [N, 2] of flat embeddings [N, F]."""
    return principal_components(embedding, 4, seed=0).project(embedding, 2)  # the last of four are the least exact
