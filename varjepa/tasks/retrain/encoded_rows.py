"""Training and validation rows of a table of any size: in memory if they fit, otherwise from shards."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from varjepa.config import TrainingSection
from varjepa.data.encode.encoded import Part, count_rows, packed_chunks, read_packed, read_sample
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.shards import Shards, write_shards
from varjepa.data.tensors.table import TableSizes
from varjepa.errors import VarjepaError
from varjepa.tasks.steps.log import log
from varjepa.training.distributed import World
from varjepa.training.epoch_rows import HeldRows, RowSource, ShardedRows, Table

SHARD_ROWS, MOST_SHARDS = 2**20, 1000
"""Largest number of rows per shard, and of shards; beyond this many shards their rows grow instead."""

GIB = 2**30


@dataclass(frozen=True)
class EncodedRows:
    """Encoded rows, read within the limits of memory.

    Attributes:
        path: Parquet file of the preprocessing step.
        preprocessor: that encoded them.
        training: memory limit, and seed of samples.
        device: of the rows that are read.
    """

    path: Path
    preprocessor: Preprocessor
    training: TrainingSection
    device: torch.device

    def source(self, parts: Sequence[str], folder: Path, world: World) -> RowSource:
        """The rows of these parts; if they exceed `training.memory`, they are first written to shards in `folder`.

        Raises:
            VarjepaError: there is no room for the shards.
        """
        rows = count_rows(self.path, *parts)
        if self.fits(rows):
            return HeldRows(read_packed(self.path, self.preprocessor, *parts).to(self.device))
        # Only the leading process writes; the others wait for its broadcast.
        shards = world.broadcast(self._write_shards(parts, folder, rows) if world.leads else None)
        if shards is None:
            raise RuntimeError("the leading process has written no shards")
        return ShardedRows(shards, self.device)

    def _write_shards(self, parts: Sequence[str], folder: Path, rows: int) -> Shards:
        sizes = self.preprocessor.sizes
        count = shard_count(sizes, rows, self.training.memory)
        if not folder.exists():  # otherwise an interrupted run has already written some of them
            _need_room(folder.parent, rows * sizes.packed_bytes)
            log.info("%s rows exceed training.memory: they are read from %d shards", f"{rows:,}", count)
        chunks = packed_chunks(self.path, self.preprocessor, *parts)
        return write_shards(chunks, folder, sizes=sizes, count=count, seed=self.training.seed)

    def at_most(self, part: str, most: int) -> Table:
        """The rows of a part, or a sample of them where there are more."""
        if count_rows(self.path, part) <= most:
            return read_packed(self.path, self.preprocessor, part).to(self.device)
        return self.sample(part, most, learnable=False).table

    def sample(self, part: str, most: int, *, learnable: bool) -> Part:
        """At most this many rows of a part, with their labels (`learnable`: see `read_sample`)."""
        seed = self.training.seed
        return read_sample(self.path, self.preprocessor, part, most=most, seed=seed, learnable=learnable).to(
            self.device
        )

    def fits(self, rows: int) -> bool:
        """Whether this many rows may be held in memory."""
        return rows * self.preprocessor.sizes.packed_bytes <= self.training.memory * GIB


def shard_count(sizes: TableSizes, rows: int, memory: float) -> int:
    """Number of shards of which four fit into `memory` GiB.

    Examples:
        >>> shard_count(TableSizes(11, [10] * 4), 100_000_000, 4.0)
        96
    """
    # A shard in use and one that is read ahead leave half of the memory to everything else.
    each = max(1, min(SHARD_ROWS, int(memory * GIB / 4 / sizes.packed_bytes)))
    return min(MOST_SHARDS, -(-rows // each))


def _need_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise VarjepaError(
            f"{folder} has {free / GIB:.1f} GiB left.",
            expected=f"Expected {needed / GIB:.1f} GiB for the training rows, which are more than training.memory.",
            fix="Make room, or raise training.memory.",
        )
