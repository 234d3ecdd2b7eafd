"""How much of a batch is computed at a time, so that the memory of the backward pass stays within bounds."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from varjepa.data.tensors.table import TableTensors
from varjepa.machine import memory_left
from varjepa.training.epoch_rows import Table

MEASURED_ROWS = 8
"""Rows on which the memory of a row's activations is measured."""

ACTIVATIONS = 448 * 2**20
"""Bytes that one part of a batch may keep for its backward pass on a CPU. Training as a whole then stays below 1 GiB.
A batch of 512 rows of Adult's 14 features is one part in 16 bits, two in 32."""


def kept_bytes(forward: Callable[[], object], parameters: Iterable[Tensor]) -> int:
    """Bytes of all tensors that `forward` keeps for its backward pass, without the parameters."""
    # Counted by storage: several saved tensors may be views of one.
    excluded = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    kept = dict[int, int]()  # address of a storage -> its bytes

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in excluded:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        graph = forward()
    del graph  # kept alive until here: no address was freed and used again for another storage
    return sum(kept.values())


def rows_at_once(
    table: Table, batch_size: int, forward: Callable[[TableTensors], object], parameters: Iterable[Tensor]
) -> int:
    """Rows whose activations fit into `ACTIVATIONS` and a quarter of the memory left, at least 1; on a GPU all.

    Args:
        table: rows to measure on; without any, the whole batch is computed at once, too.
        batch_size: rows of a batch.
        forward: the forward pass of training.
        parameters: that it trains.
    """
    sample = table.rows(slice(0, MEASURED_ROWS))
    if table.device.type != "cpu" or not sample.n_rows:
        return batch_size
    left = memory_left()
    most = ACTIVATIONS if left is None else min(ACTIVATIONS, left // 4)  # gradients and the optimiser need some, too
    # Activations grow in proportion to the rows, so a few rows tell the bytes of one.
    return max(1, most * sample.n_rows // max(kept_bytes(lambda: forward(sample), parameters), 1))


def split_evenly(rows: slice, most: int) -> Iterator[slice]:
    """As few parts as possible of at most this many rows, their sizes at most one apart.

    Examples:
        >>> list(split_evenly(slice(0, 10), 4))
        [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
    """
    count = rows.stop - rows.start
    parts = -(-count // most)  # rounded up
    ends = [rows.start + count * part // parts for part in range(parts + 1)]
    return (slice(start, end) for start, end in pairwise(ends))
