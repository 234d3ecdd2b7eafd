"""How much of a batch is computed at a time, so that what the backward pass needs stays within bounds."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from varjepa.data.tensors.table import TableTensors
from varjepa.training.epoch_rows import Table

MEASURED_ROWS = 8
"""Rows on which the memory of a row's activations is measured."""

ACTIVATIONS = 448 * 2**20
"""Bytes that one part of a batch may keep for its backward pass on a CPU; with what else a step needs, training then
stays below 1 GiB. A batch of 512 rows of Adult's 14 features is one part in 16 bits, two in 32."""


def kept_bytes(forward: Callable[[], object], parameters: Iterable[Tensor]) -> int:
    """Bytes of all tensors that `forward` keeps for its backward pass, parameters left out."""
    known = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    kept = dict[int, int]()

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        graph = forward()
    del graph  # until here no storage was freed and used again
    return sum(kept.values())


def rows_at_once(
    table: Table, batch_size: int, forward: Callable[[TableTensors], object], parameters: Iterable[Tensor]
) -> int:
    """Rows whose activations fit into `ACTIVATIONS`, at least 1, measured on some rows; on a GPU all of a batch.

    Args:
        table: rows to measure on; without any, all of a batch is computed at once, too.
        batch_size: rows of a batch.
        forward: the forward pass of training.
        parameters: that it trains.
    """
    some = table.rows(slice(0, MEASURED_ROWS))
    if table.device.type != "cpu" or not some.n_rows:
        return batch_size
    return max(1, ACTIVATIONS * some.n_rows // max(kept_bytes(lambda: forward(some), parameters), 1))


def split_evenly(rows: slice, most: int) -> Iterator[slice]:
    """As few parts as possible of at most this many rows, their sizes at most one apart.

    Examples:
        >>> list(split_evenly(slice(0, 10), 4))
        [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
    """
    count = rows.stop - rows.start
    parts = -(-count // most)
    ends = [rows.start + count * part // parts for part in range(parts + 1)]
    return (slice(start, end) for start, end in pairwise(ends))
