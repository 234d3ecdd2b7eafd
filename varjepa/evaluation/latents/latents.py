"""Diagnostics of the latents: whether they are alive, and what their distributions claim."""

import math

import torch
from torch import Tensor

from varjepa.config import MaskingSection
from varjepa.data.tensors.table import TableTensors
from varjepa.models.masks import draw_masks, draw_sizes
from varjepa.models.network import VariationalNetwork
from varjepa.nn.random import Randomness

ACTIVE_VARIANCE = 0.01
"""A dimension is active where the variance over rows of its posterior mean exceeds this."""


def active_units(means: Tensor) -> int:
    """Number of dimensions of [N, F] posterior means whose variance over rows exceeds `ACTIVE_VARIANCE`."""
    return int((means.var(0, correction=0) > ACTIVE_VARIANCE).sum())


def rankme(embedding: Tensor) -> float:
    """RankMe of [N, F]: exp of the entropy of the normalised singular values, from 1 (collapsed) to min(N, F).

    NaN where a number of the embedding is none: its network has diverged.
    """
    if not embedding.isfinite().all():
        return math.nan
    values = _singular_values(embedding.double())  # [min(N, F)]
    # The clamp leaves an embedding of zeros with shares of 0, and a rank of 1.
    shares = values / values.sum().clamp(min=torch.finfo(torch.float64).tiny)
    return float(torch.exp(torch.special.entr(shares).sum()))


def _singular_values(matrix: Tensor) -> Tensor:
    """Singular values of [N, F] in 64 bits, from the products of its rows or columns, whichever are fewer.

    That takes a fifth to a half of the time of a decomposition, and less where other work wants the same cores. Values
    below a hundred-millionth of the largest are lost in rounding, as they are in an embedding's 32 bits.
    """
    products = matrix @ matrix.mT if matrix.shape[0] < matrix.shape[1] else matrix.mT @ matrix
    return torch.linalg.eigvalsh(products).clamp(min=0).sqrt()


@torch.inference_mode()
def predictor_residuals(
    network: VariationalNetwork,
    table: TableTensors,
    masking: MaskingSection,
    random: Randomness,
    *,
    pairs: Tensor | None = None,
    batch_size: int = 1024,
) -> Tensor:
    """Standardised residuals of target latents under the predictor, (s_y - mean) / scale with s_y ~ q(s_y | ...).

    Where p(s_y | s_x, z) is calibrated they are N(0, 1).

    Args:
        network: in evaluation mode.
        table: rows on the network's device.
        masking: sizes of the masks; one target mask per row is drawn.
        random: of masks and samples.
        pairs: which pairs of feature and dimension to return, int64 [P]: feature times d plus dimension; None for all.
        batch_size: rows at a time; one pair of mask sizes is drawn per batch.

    Returns:
        [N, P], NaN where a feature is no target of a row.
    """
    residuals = []
    for start in range(0, table.n_rows, batch_size):
        batch = table.rows(slice(start, start + batch_size))
        masks = draw_masks(batch.observed, draw_sizes(batch.observed.shape[1], masking, random), 1, random)
        posterior, generated = network(batch, masks, random)
        # One target mask per row, M = 1: positions of its K features, the same for all d dimensions of a latent.
        index = masks.targets[:, 0, :, None].expand(-1, -1, posterior.s_w_value.shape[-1])  # [B, K, d]
        prior = generated.s_y  # [B, M, K, d]
        sample = posterior.s_w_value.gather(1, index)  # [B, D, d] -> [B, K, d]
        standard = (sample - prior.mean[:, 0]) / prior.scale[:, 0]  # [B, K, d]
        # Missing cells are no targets.
        standard = standard.masked_fill(~masks.targets_valid[:, 0, :, None], torch.nan)
        placed = torch.full_like(posterior.s_w_value, torch.nan).scatter(1, index, standard).flatten(1)  # [B, D d]
        residuals.append(placed if pairs is None else placed[:, pairs])
    return torch.cat(residuals) if residuals else torch.empty(0, 0)
