"""Reads encoded rows of one part back as tensors."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from varjepa.data.preprocess import LABEL, Preprocessor
from varjepa.data.sources import ROW
from varjepa.data.splits import PART
from varjepa.data.table import TableTensors
from varjepa.data.tensors import to_tensors


class Part(NamedTuple):
    """Rows of one part.

    Attributes:
        table: their cells.
        labels: float64 [N]; NaN where there is none.
        rows: row numbers of the source, int64 [N].
    """

    table: TableTensors
    labels: Tensor
    rows: np.ndarray

    def labelled(self) -> "Part":
        """Only the rows whose label is known."""
        return self.take(torch.isfinite(self.labels).nonzero().squeeze(1))

    def take(self, index: Tensor) -> "Part":
        """The rows at `index`."""
        return Part(self.table.rows(index), self.labels[index], self.rows[index.cpu().numpy()])

    def sample(self, most: int, seed: int) -> "Part":
        """At most this many rows, drawn with `seed`, in their order."""
        if len(self.labels) <= most:
            return self
        picks = np.random.default_rng(seed).permutation(len(self.labels))[:most]
        return self.take(torch.from_numpy(np.sort(picks)).to(self.labels.device))

    def to(self, device: torch.device) -> "Part":
        """The same rows on another device."""
        return Part(self.table.to(device), self.labels.to(device, torch.float32), self.rows)


def read_part(path: Path, preprocessor: Preprocessor, *parts: str) -> Part:
    """Reads the rows of some parts (train, validation, test) of an encoded Parquet file, in their order."""
    frame = pl.scan_parquet(path).filter(pl.col(PART).is_in(parts)).collect()
    labels = frame[LABEL].to_numpy() if LABEL in frame.columns else np.full(frame.height, np.nan)
    return Part(to_tensors(frame, preprocessor), torch.tensor(labels), frame[ROW].to_numpy())
