"""The ELBO of single rows, so that two models can be compared on the same rows without a label."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.config import MaskingSection, ObjectiveSection
from varjepa.data.tensors.table import TableTensors
from varjepa.inference.cell_events import EncodedEvents, likelihood_log_probs
from varjepa.inference.model import TrainedModel
from varjepa.models.masks import Masks, draw_masks, draw_sizes
from varjepa.nn.random import Randomness
from varjepa.objective.elbo import LossTerms, final_weights, loss_terms, masked_mean

BATCH, DRAWS = 512, 2
"""Rows that share their mask sizes, and number of mask draws per row."""


@torch.inference_mode()
def row_elbo(
    model: TrainedModel,
    table: TableTensors,
    events: EncodedEvents,
    objective: ObjectiveSection,
    masking: MaskingSection,
) -> NDArray[np.float64] | None:
    """ELBO per row, nats, on one scale for all models that have the same features.

    Likelihoods are of events that mean the same to every model (`varjepa.inference.cell_events`), not densities in each
    model's own unit. Masks are the same for every model. A cell is seen by the model that reconstructs it: the ELBO
    says how well a row is described, not how well its hidden cells are predicted.

    Args:
        model: of any kind.
        table: rows, encoded by this model.
        events: of the same rows, encoded by this model.
        objective: weights of the terms.
        masking: sizes of the masks.

    Returns:
        float64 [N]; None for kinds without an ELBO.
    """
    network = model.network.variational()
    if network is None:
        return None
    weights, rows = final_weights(objective), []
    for start in range(0, table.n_rows, BATCH):
        part = slice(start, start + BATCH)
        batch, total = table.rows(part), torch.zeros(len(table.observed[part]), device=model.device)
        for draw in range(DRAWS):
            # Seeded by the position of the rows, not by the model: two models get the same masks.
            mask_random = Randomness.seeded(start, draw, device=model.device)
            sizes = draw_sizes(batch.observed.shape[1], masking, mask_random)
            masks = draw_masks(batch.observed, sizes, masking.num_targets, mask_random)
            posterior, generated = network(batch, masks, Randomness.seeded(start, draw, 1, device=model.device))
            own = loss_terms(batch, masks, posterior, generated)
            likelihoods = [likelihood_log_probs(given, batch, events.rows(part))
                           for given in (generated.context, generated.row)]  # fmt: skip
            total -= _with_events(own, masks, likelihoods, batch.observed & events.compared[part]).loss(weights)
        rows.append(total / DRAWS)
    return torch.cat(rows).double().cpu().numpy() if rows else np.zeros(0)


def _with_events(terms: LossTerms, masks: Masks, likelihoods: list[Tensor], compared: Tensor) -> LossTerms:
    """The terms [B] with log-probabilities of events [B, D] in context and row, over the cells that are compared."""
    context = torch.zeros_like(compared).scatter(1, masks.context, masks.context_valid)
    rec, gen = (-masked_mean(values, cells) for values, cells in zip(likelihoods, (context & compared, compared),
                                                                   strict=True))  # fmt: skip
    return terms._replace(rec=rec.to(terms.rec.dtype), gen=gen.to(terms.gen.dtype))
