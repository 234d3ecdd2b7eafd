"""The ELBO of single rows, so that two models can be compared on the same rows without a label."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.config import MaskingSection, ObjectiveSection
from varjepa.data.tensors.table import TableTensors
from varjepa.inference.model import TrainedModel
from varjepa.models.masks import draw_masks, draw_sizes
from varjepa.nn.random import Randomness
from varjepa.objective.elbo import final_weights, loss_terms, masked_mean

BATCH, DRAWS = 512, 2
"""Rows that share their mask sizes, and number of mask draws per row."""


@torch.inference_mode()
def row_elbo(
    model: TrainedModel, table: TableTensors, objective: ObjectiveSection, masking: MaskingSection
) -> NDArray[np.float64] | None:
    """ELBO per row, nats, on one scale for all models that have the same features.

    Each model standardises by its own training rows, which shifts its densities. Here numbers are measured in units of
    their spread among `table`'s rows instead. Masks are the same for every model.

    Args:
        model: of any kind.
        table: rows, encoded by this model.
        objective: weights of the terms.
        masking: sizes of the masks.

    Returns:
        float64 [N]; None for kinds without an ELBO.
    """
    network = model.network.variational()
    if network is None:
        return None
    weights, spread, rows = final_weights(objective), _log_spread(table), []
    for start in range(0, table.n_rows, BATCH):
        batch = table.rows(slice(start, start + BATCH))
        total = torch.zeros(batch.n_rows, device=model.device)
        for draw in range(DRAWS):
            # Seeded by the position of the rows, not by the model: two models get the same masks.
            mask_random = Randomness.seeded(start, draw, device=model.device)
            sizes = draw_sizes(batch.observed.shape[1], masking, mask_random)
            masks = draw_masks(batch.observed, sizes, masking.num_targets, mask_random)
            outputs = network(batch, masks, Randomness.seeded(start, draw, 1, device=model.device))
            context = torch.zeros_like(batch.observed).scatter(1, masks.context, masks.context_valid)  # [B, D]
            # A density per unit u is larger by the factor u than one per unit 1, so each numeric cell's log-density
            # gains log spread; the two likelihoods average over other cells, hence two corrections.
            correction = weights.gen * masked_mean(spread.expand_as(batch.observed), batch.observed)
            correction += weights.rec * masked_mean(spread.expand_as(batch.observed), context)
            total -= loss_terms(batch, masks, *outputs).loss(weights) - correction
        rows.append(total / DRAWS)
    return torch.cat(rows).double().cpu().numpy() if rows else np.zeros(0)


def _log_spread(table: TableTensors) -> Tensor:
    """Log standard deviation [D] of the observed cells of numeric features; 0 for others, and for constant ones."""
    n_numeric = table.numeric.shape[1]
    seen = table.observed[:, :n_numeric].double()  # weights 0 or 1, [N, n_numeric]
    values, count = torch.where(seen > 0, table.numeric.double(), 0.0), seen.sum(0).clamp(min=1)
    mean = values.sum(0) / count
    # Two passes: the difference of mean squares would lose digits where the mean is large.
    var = ((values - mean).square() * seen).sum(0) / count
    spread = torch.where(var > 0, 0.5 * torch.log(var.clamp(min=1e-12)), 0.0)
    return torch.nn.functional.pad(spread, (0, table.observed.shape[1] - n_numeric)).float()
