"""Batches of an epoch: every row once per pass, from memory and from shards."""

import pytest
import torch

from tests.unit.data.stored_table import BATCH, ROWS, places
from varjepa.data.encode.encoded import read_packed
from varjepa.data.tensors.shards import Shards
from varjepa.nn.random import Randomness
from varjepa.training.epoch_rows import Epochs, HeldRows, ShardedRows


def test_a_pass_visits_every_row_once_and_goes_on_anywhere(stored, shards: Shards) -> None:
    path, preprocessor = stored
    source = ShardedRows(shards, torch.device("cpu"))
    batches = places(source, 0)
    assert [len(batch) for batch in batches[:-1]] == [BATCH] * (source.n_rows // BATCH)
    expected = read_packed(path, preprocessor, "train").numeric[:, 0]
    assert torch.equal(torch.cat(batches).sort().values, expected.sort().values)
    assert not torch.equal(torch.cat(batches), torch.cat(places(source, 1)))
    for first in (1, 20, len(batches) - 1, len(batches)):
        rest = places(source, 0, first)
        assert len(rest) == len(batches) - first
        assert all(torch.equal(one, other) for one, other in zip(rest, batches[first:], strict=True))


@pytest.mark.parametrize("most", [1, 700, 1000, ROWS])
@pytest.mark.parametrize("held", [True, False])
def test_epochs_that_share_a_pass_see_every_row_once(stored, shards: Shards, most: int, held: bool) -> None:
    table = read_packed(*stored, "train")
    source = HeldRows(table) if held else ShardedRows(shards, torch.device("cpu"))
    epochs = Epochs(source, batch_size=BATCH, most=most, seed=0)

    def seen(epoch: int, first: int = 0) -> torch.Tensor:
        batches = epochs.batches(epoch, Randomness.seeded(0, epoch), first)
        return torch.cat([batch.numeric[:, 0] for batch in batches])

    both = [[seen(number * epochs.per_pass + share) for share in range(epochs.per_pass)] for number in (0, 1)]
    for rows in both:
        assert torch.equal(torch.cat(rows).sort().values, table.numeric[:, 0].sort().values)
    assert not torch.equal(torch.cat(both[0]), torch.cat(both[1]))
    for epoch, rows in enumerate(both[0] + both[1]):
        assert len(rows) == epochs.rows(epoch) <= max(most, BATCH)
        assert len(rows) <= BATCH or torch.equal(seen(epoch, 1), rows[BATCH:])
