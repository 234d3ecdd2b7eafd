"""Reads encoded rows back as tensors: a part, a sample of it, or all of it in pieces."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from varjepa.data.cells import by_name
from varjepa.data.encode.features import LABEL
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import stacked, to_tensors
from varjepa.data.read.sources import ROW
from varjepa.data.read.splits import CLUSTER, PART
from varjepa.data.tensors.table import PackedTable, TableTensors

CHUNK = 2**18
"""Rows read at a time."""

PERMUTED = 2**22
"""Up to this many rows, a sample is taken from a permutation of all rows. For more, that would need too much memory."""


class Part(NamedTuple):
    """Rows of one part.

    Attributes:
        table: their cells.
        labels: float64 [N]; NaN where missing. A class that training has not seen has the number of classes.
        rows: row numbers of the source, int64 [N].
        clusters: uint64 [N]; rows with the same number belong together, such as those of a customer, and are not
            independent. None if the split knows of no clusters.
    """

    table: TableTensors
    labels: Tensor
    rows: np.ndarray
    clusters: np.ndarray | None = None

    def labelled(self) -> "Part":
        """Only the rows that have a label, be its class known or not."""
        return self.take(torch.isfinite(self.labels).nonzero().squeeze(1))

    def take(self, index: Tensor) -> "Part":
        """The rows at `index`."""
        places = index.cpu().numpy()
        clusters = None if self.clusters is None else self.clusters[places]
        return Part(self.table.rows(index), self.labels[index], self.rows[places], clusters)

    def to(self, device: torch.device) -> "Part":
        """The same rows on another device."""
        return self._replace(table=self.table.to(device), labels=self.labels.to(device))


def read_part(path: Path, preprocessor: Preprocessor, *parts: str) -> Part:
    """Reads the rows of some parts (train, validation, test) of an encoded Parquet file, in their order."""
    return as_part(_scan(path, parts).collect(), preprocessor)


def read_sample(
    path: Path, preprocessor: Preprocessor, *parts: str, most: int, seed: int, learnable: bool = False
) -> Part:
    """Draws at most `most` rows of some parts, in their order. Only the drawn rows are held in memory.

    Args:
        path: encoded Parquet file, or a folder of them.
        preprocessor: the one that encoded them.
        parts: of the split, such as train.
        most: rows to draw.
        seed: of the draw.
        learnable: draw only from rows whose label can be learned: it is there, and no class unknown to `preprocessor`.
    """
    rows = _scan(path, parts)
    if learnable:
        label = preprocessor.label
        rows = rows.filter(pl.lit(value=False) if label is None else label.can_predict(pl.col(LABEL)))
    picks = sampled(_count(rows), most, seed)  # sorted row numbers, [n]
    taken, start = [rows.head(0).collect()], 0
    for chunk in rows.collect_batches(chunk_size=CHUNK, maintain_order=True):
        # The picks that fall into this piece are a slice, because picks are sorted.
        low, high = np.searchsorted(picks, [start, start + chunk.height])
        taken.append(chunk[picks[low:high] - start])
        start += chunk.height
    return as_part(pl.concat(taken), preprocessor)


def sampled(rows: int, most: int, seed: int) -> np.ndarray:
    """At most `most` of the numbers below `rows`, drawn with `seed`, sorted."""
    if rows <= most:
        return np.arange(rows)
    random = np.random.default_rng(seed)
    if rows <= PERMUTED:
        return np.sort(random.permutation(rows)[:most])
    return np.sort(random.choice(rows, most, replace=False, shuffle=False))


def count_rows(path: Path, *parts: str) -> int:
    """Number of rows of some parts of an encoded Parquet file."""
    return _count(_scan(path, parts))


def packed_chunks(path: Path, preprocessor: Preprocessor, *parts: str) -> Iterator[PackedTable]:
    """The rows of some parts of an encoded Parquet file, in their order, `CHUNK` rows at a time."""
    code_type = np.dtype(preprocessor.sizes.code_type).type
    names = [[feature.name for feature in group] for group in (preprocessor.numeric, preprocessor.categorical)]
    # Row numbers, labels and clusters are not read.
    features = _scan(path, parts).select(by_name(names[0] + names[1]))
    for chunk in features.collect_batches(chunk_size=CHUNK, maintain_order=True):
        numeric, codes = stacked(chunk, names[0], np.float32), stacked(chunk, names[1], code_type)
        yield PackedTable(torch.from_numpy(numeric), torch.from_numpy(codes))


def read_packed(path: Path, preprocessor: Preprocessor, *parts: str) -> PackedTable:
    """Reads the rows of some parts of an encoded Parquet file, in their order, with little memory beyond the result."""
    # Allocating the result first and filling it in pieces avoids holding the rows twice.
    sizes, rows, start = preprocessor.sizes, count_rows(path, *parts), 0
    code_type = getattr(torch, sizes.code_type)
    table = PackedTable(
        torch.empty(rows, sizes.n_numeric), torch.empty(rows, len(sizes.cardinalities), dtype=code_type)
    )
    for chunk in packed_chunks(path, preprocessor, *parts):
        place = slice(start, start + chunk.n_rows)
        table.numeric[place], table.codes[place] = chunk.numeric, chunk.codes
        start = place.stop
    return table


def _scan(path: Path, parts: Sequence[str]) -> pl.LazyFrame:
    return pl.scan_parquet(path).filter(pl.col(PART).is_in(parts))


def _count(rows: pl.LazyFrame) -> int:
    return int(rows.select(pl.len()).collect(engine="streaming").item())


def as_part(frame: pl.DataFrame, preprocessor: Preprocessor) -> Part:
    """Encoded rows, with `ROW`, and `LABEL` and `CLUSTER` where there are any, as tensors on the CPU."""
    labels = frame[LABEL].to_numpy() if LABEL in frame.columns else np.full(frame.height, np.nan)
    clusters = frame[CLUSTER].to_numpy() if CLUSTER in frame.columns else None
    return Part(to_tensors(frame, preprocessor), torch.tensor(labels), frame[ROW].to_numpy(), clusters)
