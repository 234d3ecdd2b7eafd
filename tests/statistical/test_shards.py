"""Batches of a sorted table in shards look like uniform draws."""

import torch

from tests.unit.data.stored_table import BATCH, places
from varjepa.data.tensors.shards import Shards
from varjepa.training.epoch_rows import ShardedRows


def test_batches_of_a_sorted_table_look_like_uniform_draws(shards: Shards) -> None:
    """Mean and spread of the place of a batch's rows, and its share of the first tenth, over 40 passes."""
    source = ShardedRows(shards, torch.device("cpu"))
    drawn = torch.stack([batch for seed in range(40) for batch in places(source, seed)[:-1]]).double()
    ranks = drawn.flatten().argsort().argsort().view(drawn.shape) / drawn.numel()  # uniform in [0, 1)
    n = len(drawn)
    for values, expected in ((ranks, 1 / 12), ((ranks < 0.1).double(), 0.09)):
        # The variance of batch means over that of independent draws is chi-square / n: four standard deviations.
        ratio = float(values.mean(1).var() / (expected / BATCH))
        assert abs(ratio - 1) < 4 * (2 / n) ** 0.5 + BATCH / source.n_rows
    order = torch.arange(n * BATCH, dtype=torch.float64).view(n, BATCH) % (source.n_rows // BATCH * BATCH)
    correlation = torch.corrcoef(torch.stack([order.flatten(), ranks.flatten()]))[0, 1]
    assert abs(float(correlation)) < 4 / (n * BATCH) ** 0.5
