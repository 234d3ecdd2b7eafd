"""Raw rows that are encoded once, and embedded once, for several answers about them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from varjepa.data.tensors.table import TableTensors
from varjepa.models.embedding import Embedding


@dataclass(frozen=True)
class EncodedFrame:
    """Raw rows, and what a model has made of them.

    Attributes:
        frame: the raw rows.
        table: the same rows, encoded.
        keeps: whether embeddings are kept. They are as large as the model is wide: not for a frame of any length.
    """

    frame: pl.DataFrame
    table: TableTensors
    keeps: bool = False
    _kept: dict[tuple[int, int], Embedding] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.frame.height

    def embedding(self, rows: slice, embed: Callable[[TableTensors], Embedding]) -> Embedding:
        """The embedding of some rows.

        Args:
            rows: consecutive ones, from `start` to `stop`.
            embed: computes it.
        """
        key = (rows.start, rows.stop)
        if key in self._kept:
            return self._kept[key]
        embedding = embed(self.table.rows(rows))
        if self.keeps:
            self._kept[key] = embedding
        return embedding
