"""Sources of training rows: a table in memory, or shards on disk that are read ahead during training."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from varjepa.data.tensors.shards import Shards
from varjepa.data.tensors.table import PackedTable, TableTensors
from varjepa.nn.random import Randomness

ORDER_STREAM = 2**23
"""Stream number of the order of a pass that several epochs share; no other stream of the seed has it."""


class Table(Protocol):
    """Rows in memory."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    @property
    def device(self) -> torch.device:
        """Device of the rows."""

    def rows(self, index: Tensor | slice) -> TableTensors:
        """The rows at `index`, in its order."""


@runtime_checkable
class RowSource(Protocol):
    """Rows in batches, every row once per pass, in an order drawn for the pass."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    @property
    def device(self) -> torch.device:
        """Device of the batches."""

    def batches(self, size: int, random: Randomness, first: int) -> Iterator[TableTensors]:
        """The batches of a pass from number `first` on.

        Args:
            size: rows of every batch but the last.
            random: draws the order when this is called, the same numbers whatever `first` is; the iterator draws none.
            first: number of a batch.
        """


class HeldRows:
    """Rows of a table in memory; batches are uniform draws without replacement."""

    def __init__(self, table: Table) -> None:
        self.table, self.n_rows, self.device = table, table.n_rows, table.device

    def batches(self, size: int, random: Randomness, first: int) -> Iterator[TableTensors]:
        # All of the order, also where the first batches are skipped: a resumed epoch must continue the same pass.
        order = torch.randperm(self.n_rows, generator=random.device, device=self.device)
        return (self.table.rows(rows) for rows in order[first * size :].split(size))


class ShardedRows:
    """Rows of shards on disk: shards in random order, the rows of each permuted, the next shard read ahead.

    Args:
        shards: each a random sample of the table.
        device: of the batches.
    """

    def __init__(self, shards: Shards, device: torch.device) -> None:
        self.shards, self.device, self.n_rows = shards, device, sum(shards.rows)

    def batches(self, size: int, random: Randomness, first: int) -> Iterator[TableTensors]:
        # The seed is drawn here, not in the generator below, which runs only when the first batch is asked for.
        return self._batches(size, int(random.host.integers(2**62)), first * size)

    def _batches(self, size: int, seed: int, skip: int) -> Iterator[TableTensors]:
        # A batch may span shards: `waiting` holds its rows so far, `lacking` counts those that are still to come.
        waiting, lacking = list[TableTensors](), size
        for table, order in self._visits(seed, skip):
            rest = order
            while len(rest):
                chosen, rest = rest[:lacking], rest[lacking:]
                waiting.append(table.rows(chosen))
                lacking -= len(chosen)
                if not lacking:
                    yield _joined(waiting)
                    waiting, lacking = [], size
        if waiting:
            yield _joined(waiting)

    def _visits(self, seed: int, skip: int) -> Iterator[tuple[PackedTable, Tensor]]:
        """Shards in the order of a pass, each with the order of its rows, without the first `skip` rows of the pass."""
        visits = list[tuple[int, int]]()  # (shard, rows of it to skip)
        for number in np.random.default_rng(seed).permutation(len(self.shards.rows)).tolist():
            rows = self.shards.rows[number]
            if skip < rows:
                visits.append((number, skip))
            skip = max(0, skip - rows)
        # At most one shard waits in memory in addition to the one in use: the next is requested after the last arrived.
        with ThreadPoolExecutor(1) as reader:
            coming = [reader.submit(self.shards.read, visits[0][0])] if visits else []
            for position, (number, passed) in enumerate(visits):
                table = coming.pop().result()
                coming += [reader.submit(self.shards.read, following) for following, _ in visits[position + 1 :][:1]]
                # Seeded by the shard, so that the order of its rows does not depend on the shards skipped before it.
                order = np.random.default_rng([seed, number]).permutation(table.n_rows)[passed:]
                yield table.to(self.device), torch.from_numpy(order).to(self.device)


def _joined(parts: list[TableTensors]) -> TableTensors:
    """Rows of several tables, one after the other."""
    return parts[0] if len(parts) == 1 else TableTensors(*map(torch.cat, zip(*parts, strict=True)))


class Epochs:
    """The rows of each epoch: all rows of a source, or the next part of a pass that several epochs share.

    Args:
        rows: a table in memory, or another source.
        batch_size: rows of every batch but the last of a pass.
        most: rows of an epoch at most, but a batch at least; None: all.
        seed: of the orders of passes that epochs share; other orders are drawn by the epoch itself.

    Attributes:
        steps: batches of an epoch; the last one of a pass may have fewer.

    Examples:
        >>> table = TableTensors(torch.zeros(10, 1), torch.zeros(10, 0, dtype=torch.int64), torch.ones(10, 1).bool())
        >>> epochs = Epochs(table, batch_size=2, most=6, seed=0)
        >>> [epochs.rows(epoch) for epoch in range(4)]
        [6, 4, 6, 4]
    """

    def __init__(self, rows: Table | RowSource, *, batch_size: int, most: int | None, seed: int) -> None:
        self.source = rows if isinstance(rows, RowSource) else HeldRows(rows)
        self.batch_size, self.seed = min(batch_size, self.source.n_rows), seed
        steps = -(-self.source.n_rows // self.batch_size)  # of a whole pass, rounded up
        # First the number of epochs, then equal steps for each, so that the last epoch of a pass is not a tiny rest.
        self.per_pass = -(-steps // max(1, most // self.batch_size)) if most else 1
        self.steps = -(-steps // self.per_pass)

    def rows(self, epoch: int) -> int:
        """Number of rows of an epoch."""
        whole = self.steps * self.batch_size
        return min(whole, self.source.n_rows - epoch % self.per_pass * whole)

    def batches(self, epoch: int, random: Randomness, first: int) -> Iterator[TableTensors]:
        """The batches of an epoch from its number `first` on; `random` draws their order, as in `RowSource.batches`."""
        if self.per_pass == 1:
            return self.source.batches(self.batch_size, random, first)
        # The order belongs to the pass, not to the epoch: each of its epochs draws it again and takes its own part.
        number, share = divmod(epoch, self.per_pass)
        order = Randomness.seeded(self.seed, ORDER_STREAM, number, device=self.source.device)
        rest = self.source.batches(self.batch_size, order, share * self.steps + first)
        return islice(rest, self.steps - first)
