"""Embeddings of whole rows from a trained network of any kind (var-jepa.md section 3)."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from varjepa.data.table import TableTensors
from varjepa.models.network import Embedding, TableNetwork

__all__ = ["Embedding", "embed", "lowered", "row_uncertainty"]


@torch.inference_mode()
def embed(network: TableNetwork, table: TableTensors, batch_size: int = 1024) -> Embedding:
    """Embeds rows with all observed cells as context and means instead of samples.

    A missing cell has no latent of its own: it gets what the predictor expects from the cells that are there, the
    generative path of section 1. Results do not depend on `batch_size` beyond rounding.

    Args:
        network: put into evaluation mode for the call.
        table: rows on the network's device.
        batch_size: rows at a time.
    """
    training = network.training
    network.eval()
    try:
        with lowered(network, table.observed.device):
            parts = [network.embed(table.rows(slice(i, i + batch_size))) for i in range(0, table.n_rows, batch_size)]
    finally:
        network.train(training)
    means = [part.mean for part in parts] or [torch.empty(0, table.observed.shape[1], network.d_hidden)]
    scales = [part.scale for part in parts if part.scale is not None] or means
    return Embedding(torch.cat(means), torch.cat(scales) if network.has_scale else None)


def lowered(network: TableNetwork, device: torch.device) -> AbstractContextManager[None]:
    """Within it matrix products have the network's precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=network.precision == torch.bfloat16)


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
