"""Embeddings of rows that are kept in files, so that a row goes through the network once for several readers.

What is kept is found by the number of the row. Results are those of the network to the last bit: a CPU says the same
of a row in every full batch, but something else, by a rounding, in one of a few rows. So a batch is read only if all of
its rows were kept from full batches, or if it is the same short one; otherwise it is embedded as if nothing was kept.
Files are NumPy's, of which readers map what they need into memory.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.data.encode.encoded import Part
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.arrays import Ints
from varjepa.models.embedding import Embedding, cpu_rows, embed
from varjepa.models.network import TableNetwork

ROWS, MEAN, SCALE = "rows.npy", "mean.npy", "scale.npy"
"""Row numbers of the source int64 [N], and their embeddings float32 [N, D, d]."""

CHUNK = 1024
"""Rows embedded at a time: whole batches of every device."""

Embedder = Callable[[TableTensors, Ints], Embedding]
"""Embeds encoded rows, whose numbers in the source are given beside them [N]."""


def fresh(network: TableNetwork) -> Embedder:
    """Embeds all rows by the network."""
    return lambda table, _rows: embed(network, table)


def keep_embeddings(folder: Path, network: TableNetwork, part: Part, *, scales: bool = True) -> None:
    """Writes the embeddings of rows. In memory is one chunk of them.

    Args:
        folder: that the files are written into.
        network: embeds.
        part: rows on any device.
        scales: keep the scales as well, if the network has them.
    """
    shape = (len(part.rows), part.table.observed.shape[1], network.d_hidden)
    with ExitStack() as files:
        # Written and not mapped: a full disk is an error then, and no signal that ends the process.
        mean, *scale = (
            files.enter_context((folder / name).open("wb"))
            for name in (MEAN, *([SCALE] if scales and network.has_scale else []))
        )
        for file in (mean, *scale):
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for start in range(0, len(part.rows), CHUNK):
            embedding = embed(network, part.table.rows(slice(start, start + CHUNK)).to(network.device))
            mean.write(_bytes(embedding.mean))
            if scale and embedding.scale is not None:
                scale[0].write(_bytes(embedding.scale))
    np.save(folder / ROWS, part.rows)


def _bytes(values: Tensor) -> memoryview:
    return np.ascontiguousarray(values.cpu().numpy(), dtype="<f4").data


@dataclass(frozen=True)
class KeptRows:
    """What `keep_embeddings` has written.

    Attributes:
        folder: with the files.
    """

    folder: Path

    @cached_property
    def _numbers(self) -> tuple[Ints, Ints]:
        """Sorted row numbers, and where each of them is."""
        rows = np.load(self.folder / ROWS)
        order = np.argsort(rows, kind="stable")
        return rows[order], order

    @cached_property
    def full(self) -> int:
        """Number of the first rows, which were embedded in full batches."""
        most = cpu_rows(self.means().shape[1])
        return len(self._numbers[0]) // most * most

    def is_short_batch(self, places: Ints) -> bool:
        """Whether these places are the batch of the last rows."""
        last = np.arange(self.full, len(self._numbers[0]))
        return len(last) > 0 and np.array_equal(places, last)

    def places(self, rows: Ints) -> Ints:
        """Where rows of these numbers [N] are; -1 for those that were not kept."""
        numbers, order = self._numbers
        if not len(numbers):
            return np.full(len(rows), -1)
        near = np.searchsorted(numbers, rows).clip(max=len(numbers) - 1)
        return np.where(numbers[near] == rows, order[near], -1)

    def means(self) -> NDArray[np.float32]:
        """Means of all rows [N, D, d], mapped: on the disk until they are read."""
        return np.load(self.folder / MEAN, mmap_mode="r")

    def scales(self) -> NDArray[np.float32] | None:
        """The same of the scales; None where there are none."""
        path = self.folder / SCALE
        return np.load(path, mmap_mode="r") if path.is_file() else None

    def read(self, places: Ints) -> Embedding:
        """The embeddings at some places, in memory."""
        means, scales = self.means(), self.scales()
        return Embedding(torch.from_numpy(means[places]), None if scales is None else torch.from_numpy(scales[places]))


@dataclass(frozen=True)
class KeptEmbeddings:
    """An `Embedder` on a CPU that reads the batches that were kept, and embeds the others.

    Attributes:
        network: that all of it comes from, on the device of the rows.
        kept: with scales, if the network has them; no row is in two of them.
    """

    network: TableNetwork
    kept: tuple[KeptRows, ...]

    def __call__(self, table: TableTensors, rows: Ints) -> Embedding:
        """See `Embedder`."""
        places = [kept.places(rows) for kept in self.kept]
        most = cpu_rows(table.observed.shape[1])
        batches = batches_of(len(rows), most) if places else []
        known = [self._is_known([at[batch] for at in places], most) for batch in batches]
        if not any(known):
            return embed(self.network, table)
        mean = torch.empty(*table.observed.shape, self.network.d_hidden, device=table.device)
        whole = Embedding(mean, torch.empty_like(mean) if self.network.has_scale else None)
        for is_known, run in groupby(zip(known, batches, strict=True), key=itemgetter(0)):
            slices = [batch for _, batch in run]
            if not is_known:
                together = slice(slices[0].start, slices[-1].stop)
                _put(whole, np.arange(len(rows))[together], embed(self.network, table.rows(together)))
                continue
            for batch in slices:
                for kept, at in zip(self.kept, places, strict=True):
                    found = np.flatnonzero(at[batch] >= 0)
                    _put(whole, batch.start + found, kept.read(at[batch][found]))
        return whole

    def _is_known(self, places: list[Ints], most: int) -> bool:
        """Whether a batch, whose rows are at these places of each part, can be read; a full one has `most` rows."""
        if any(kept.is_short_batch(at) for kept, at in zip(self.kept, places, strict=True)):
            return True
        full = [(at >= 0) & (at < kept.full) for kept, at in zip(self.kept, places, strict=True)]
        return len(places[0]) == most and bool(np.any(full, axis=0).all())


def batches_of(rows: int, most: int) -> list[slice]:
    """Batches of so many rows, `most` at a time."""
    return [slice(start, min(start + most, rows)) for start in range(0, rows, most)]


def _put(whole: Embedding, places: Ints, part: Embedding) -> None:
    device = whole.mean.device
    index = torch.from_numpy(places).to(device)
    whole.mean[index] = part.mean.to(device)
    if whole.scale is not None and part.scale is not None:
        whole.scale[index] = part.scale.to(device)
