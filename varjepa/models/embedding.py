"""Embeddings of whole rows from a trained network (var-jepa.md section 3)."""

from typing import NamedTuple

import torch
from torch import Tensor

from varjepa.data.table import TableTensors
from varjepa.models.masks import full_context
from varjepa.models.var_t_jepa import VarTJEPANetwork
from varjepa.nn.gaussian import DiagonalGaussian


class Embedding(NamedTuple):
    """Latents of N rows.

    Attributes:
        mean: float32 [N, D, d]; of q(s_w | ...) for observed cells and of the predictor p(s_y | ...) for missing ones.
        scale: float32 [N, D, d], > 0, of the same distributions.
    """

    mean: Tensor
    scale: Tensor


@torch.inference_mode()
def embed(network: VarTJEPANetwork, table: TableTensors, batch_size: int = 1024) -> Embedding:
    """Embeds rows with all observed cells as context and means instead of samples.

    A missing cell has no posterior of its own: its latent is what the predictor expects from the cells that are there,
    the generative path of section 1. Results do not depend on `batch_size` beyond rounding.

    Args:
        network: put into evaluation mode for the call.
        table: rows on the network's device.
        batch_size: rows at a time.
    """
    training = network.training
    network.eval()
    try:
        parts = [
            _embed_batch(network, table.rows(slice(i, i + batch_size))) for i in range(0, table.n_rows, batch_size)
        ]
    finally:
        network.train(training)
    if not parts:
        shape = (0, table.observed.shape[1], network.s_w_head.linear.out_features // 2)
        return Embedding(torch.empty(shape), torch.empty(shape))
    return Embedding(*(torch.cat(pieces) for pieces in zip(*parts, strict=True)))


def _embed_batch(network: VarTJEPANetwork, table: TableTensors) -> Embedding:
    masks = full_context(table.observed)
    posterior = network.infer(table, masks)
    mean, scale = posterior.s_w.mean, posterior.s_w.scale
    incomplete = (~table.observed).any(1).nonzero().squeeze(1)
    if len(incomplete):
        some = masks.rows(incomplete)
        prior = network.predictor(posterior.s_x_value[incomplete], posterior.z_value[incomplete], some)
        expected = DiagonalGaussian(prior.mean[:, 0], prior.logvar[:, 0])  # [b, D, d]
        missing = some.targets_valid[:, 0, :, None]
        mean[incomplete] = torch.where(missing, expected.mean, mean[incomplete])
        scale[incomplete] = torch.where(missing, expected.scale, scale[incomplete])
    return Embedding(mean, scale)


def row_uncertainty(scale: Tensor, aggregate: str) -> Tensor:
    """One number per row from the scales of its latents; larger = less sure (section 3).

    Args:
        scale: [N, D, d].
        aggregate: "mean" or "p90" (90th percentile).

    Returns:
        float32 [N].
    """
    flat = scale.flatten(1)
    return flat.mean(1) if aggregate == "mean" else flat.quantile(0.9, dim=1)
