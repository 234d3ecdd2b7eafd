"""Embeddings of whole rows from a trained network of any kind (arXiv 2603.20111, D.2)."""

from contextlib import AbstractContextManager
from itertools import pairwise

import torch
from torch import Tensor

from varjepa.data.tensors.sizes import rows_within
from varjepa.data.tensors.table import TableTensors
from varjepa.errors import require_whole
from varjepa.memory import in_parts
from varjepa.models.network import Embedding, TableNetwork
from varjepa.side_by_side import parts_at_once, side_by_side

__all__ = ["Embedding", "embed", "lowered", "row_uncertainty"]

GPU_ROWS = 1024
"""Rows that a GPU embeds at a time."""

CPU_CELLS, CPU_ROWS = 2**13, 256
"""Cells and rows, at most, that a CPU embeds at a time: it is faster while what the layers say of them fits into its
cache, by a tenth at 54 features and by a third at 784."""


def cpu_rows(n_features: int) -> int:
    """Rows that a CPU embeds at a time: a power of two, so that chunks of `CPU_ROWS` are whole batches.

    Examples:
        >>> cpu_rows(14), cpu_rows(54), cpu_rows(784), cpu_rows(100_000)
        (256, 128, 8, 1)
    """
    most = rows_within(CPU_CELLS, max(n_features, 1), fewest=1, most=CPU_ROWS)
    return 1 << (most.bit_length() - 1)


@torch.inference_mode()
def embed(network: TableNetwork, table: TableTensors, batch_size: int | None = None) -> Embedding:
    """Embeds rows with all observed cells as context and means instead of samples.

    A missing cell has no latent of its own. It gets the predictor's expectation given the observed cells, by the
    generative path of section 1. Results do not depend on `batch_size` beyond rounding.

    Args:
        network: put into evaluation mode for the call.
        table: rows on the network's device.
        batch_size: rows at a time; None means as many as suit the device.

    Raises:
        ConfigError: `batch_size` is below 1.
    """
    training = network.training
    if batch_size is None:
        batch_size = cpu_rows(table.observed.shape[1]) if table.device.type == "cpu" else GPU_ROWS
    require_whole(batch_size, "batch_size", 1)
    if training:
        network.eval()
    # Filled batch by batch: parts that are joined at the end would be in memory twice.
    dtype = next(network.parameters()).dtype
    mean = torch.empty(*table.observed.shape, network.d_hidden, dtype=dtype, device=table.device)
    scale = torch.empty_like(mean) if network.has_scale else None

    def fill(rows: slice) -> None:
        with lowered(network, table.device):  # of each thread by itself
            own, start = table.rows(rows), rows.start
            for part in in_parts(lambda some: network.embed(own.rows(some)), own.n_rows, batch_size):
                done = slice(start, start + len(part.mean))
                mean[done] = part.mean
                if scale is not None and part.scale is not None:
                    scale[done] = part.scale
                start = done.stop

    try:
        if table.n_rows:  # layers take at least one row
            side_by_side(fill, _shares(table, network.d_hidden, batch_size))
    finally:
        if training:  # going through all modules takes as long as a row
            network.train()
    return Embedding(mean, scale)


def _shares(table: TableTensors, width: int, batch_size: int) -> list[slice]:
    """Rows of each thread: whole batches, so that rows are embedded beside the same others whatever their number."""
    (rows, features), batches = table.observed.shape, -(-table.n_rows // batch_size)
    count = min(parts_at_once(rows * features * width, table.device), batches)
    ends = [batches * share // count * batch_size for share in range(count)]
    return [slice(start, end) for start, end in pairwise([*ends, rows])]


def lowered(network: TableNetwork, device: torch.device) -> AbstractContextManager[None]:
    """A context in which matrix products have the network's precision."""
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
    if aggregate == "mean" or not len(flat):  # torch refuses a quantile of no rows
        return flat.mean(1)
    return flat.quantile(0.9, dim=1)
