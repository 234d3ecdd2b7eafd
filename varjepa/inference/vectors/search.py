"""Searches by the compact vectors of rows: what a trained model can be asked about rows like others."""

from abc import ABC, abstractmethod

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varjepa.data.tensors.table import TableTensors
from varjepa.errors import ModelError
from varjepa.inference.encoded_frame import EncodedFrame
from varjepa.inference.generator.table_generator import batches
from varjepa.inference.vectors.compact import USUAL, CompactBasis, require_size
from varjepa.inference.vectors.index import VectorIndex
from varjepa.inference.vectors.neighbours import NEAR, near_duplicates, outliers, similar_rows
from varjepa.models.embedding import Embedding


class VectorSearch(ABC):
    """A model whose embeddings have compact vectors.

    Attributes:
        compact: basis of the vectors; None in models of older versions.
    """

    compact: CompactBasis | None

    @abstractmethod
    def encoded(self, frame: pl.DataFrame | EncodedFrame, *, keeps: bool = False) -> EncodedFrame:
        """Raw rows with their encoding."""

    @abstractmethod
    def _embed(self, table: TableTensors, batch_size: int | None = None) -> Embedding:
        """The embedding of encoded rows."""

    def vectors(
        self, frame: pl.DataFrame | EncodedFrame, size: int = USUAL, batch_size: int = 1024
    ) -> NDArray[np.float32]:
        """Compact vectors of rows, for search and for vector databases; see `varjepa.inference.vectors.compact`.

        The vector of a row does not depend on the rows beside it, and a shorter one is the beginning of a longer one.

        Args:
            frame: raw rows, or the same `encoded`; missing cells are fine.
            size: numbers of a vector, 1 to 256; those beyond what the model distinguishes are 0.
            batch_size: rows at a time; affects only memory.

        Returns:
            float32 [N, size], in the order of the rows.

        Raises:
            ConfigError: `size` is out of range.
            DataError: see `encode`.
            ModelError: the model was made before there were compact vectors.
        """
        require_size(size)
        compact, encoded = self.compact_basis(), self.encoded(frame)
        parts = [
            compact.project(encoded.embedding(rows, self._embed).mean.flatten(1), size).float().cpu().numpy()
            for rows in batches(max(encoded.height, 1), batch_size)
        ]
        return np.concatenate(parts)

    def index(self, table: pl.DataFrame, size: int = USUAL) -> VectorIndex:
        """The vectors of a table, ready to be searched: for several calls of the methods below on the same table."""
        return VectorIndex.build(self.vectors(table, size))

    def similar(
        self,
        table: pl.DataFrame | VectorIndex,
        query: pl.DataFrame,
        k: int = 10,
        *,
        size: int = USUAL,
        leave_same: bool = False,
    ) -> pl.DataFrame:
        """The rows of a table that are nearest to each row of another, by their compact vectors.

        Args:
            table: raw rows, or their `index`.
            query: raw rows.
            k: neighbours of each row.
            size: numbers of a vector; that of an index counts.
            leave_same: leave out rows of the table that equal the query row.

        Returns:
            `query`, `rank`, `row` and `distance`; 1 is the usual distance of two rows.

        Raises:
            DataError: see `encode`.
            ModelError: the model was made before there were compact vectors.
        """
        index = self._indexed(table, size)
        return similar_rows(index, self.vectors(query, index.vectors.shape[1]), k, leave_same=leave_same)

    def near_duplicates(
        self, table: pl.DataFrame | VectorIndex, within: float = NEAR, *, size: int = USUAL
    ) -> pl.DataFrame:
        """Pairs of rows that hardly differ: `row`, `other` and `distance`, the nearest first.

        Args:
            table: raw rows, or their `index`.
            within: largest distance; 1 is the usual distance of two rows.
            size: numbers of a vector.

        Raises:
            DataError: see `encode`.
            ModelError: the model was made before there were compact vectors.
        """
        return near_duplicates(self._indexed(table, size), within)

    def outliers(
        self, table: pl.DataFrame | VectorIndex, top: int = 100, *, k: int = 10, size: int = USUAL
    ) -> pl.DataFrame:
        """The rows that are farthest from their k-th nearest neighbour: `row` and `distance`, the farthest first.

        Args:
            table: raw rows, or their `index`.
            top: how many rows.
            k: the neighbour that counts.
            size: numbers of a vector.

        Raises:
            DataError: see `encode`.
            ModelError: the model was made before there were compact vectors.
        """
        return outliers(self._indexed(table, size), top, k)

    def _indexed(self, table: pl.DataFrame | VectorIndex, size: int) -> VectorIndex:
        return table if isinstance(table, VectorIndex) else self.index(table, size)

    def compact_basis(self) -> CompactBasis:
        """The basis of the compact vectors.

        Raises:
            ModelError: the model was made before there were any.
        """
        if self.compact is None:
            raise ModelError(
                "The model has no compact vectors: it was made by an earlier version.", fix="Retrain it, or use embed."
            )
        return self.compact
