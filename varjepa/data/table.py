"""A table as tensors: what the model reads, whatever the data came from."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

MISSING, OTHER, N_RESERVED = 0, 1, 2
"""Codes of a missing cell and of a rare or unseen category; known categories follow."""


class TableTensors(NamedTuple):
    """Encoded rows, features ordered numeric first, then categorical.

    Attributes:
        numeric: float32 [N, n_numeric], standardised; 0 where missing.
        codes: int64 [N, n_categorical]; 0 missing, 1 other (rare or unseen), 2... known categories.
        observed: bool [N, D], False where the cell is missing.
    """

    numeric: Tensor
    codes: Tensor
    observed: Tensor

    @property
    def n_rows(self) -> int:
        """Number of rows N."""
        return len(self.observed)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.observed.device

    def rows(self, index: Tensor | slice) -> Self:
        """The rows at `index`, in its order."""
        return self._replace(numeric=self.numeric[index], codes=self.codes[index], observed=self.observed[index])

    def blanked(self) -> tuple[Tensor, Tensor]:
        """`numeric` and `codes` with 0 in every missing cell, whatever was stored there."""
        split = self.numeric.shape[1]
        missing = ~self.observed
        return self.numeric.masked_fill(missing[:, :split], 0.0), self.codes.masked_fill(missing[:, split:], 0)

    def to(self, device: torch.device | str) -> Self:
        """The same table on another device."""
        return self._replace(
            numeric=self.numeric.to(device), codes=self.codes.to(device), observed=self.observed.to(device)
        )


class PackedTable(NamedTuple):
    """Many encoded rows in as few bytes as they need; `rows` makes tensors for the model of some of them.

    Attributes:
        numeric: float32 [N, n_numeric], NaN where missing.
        codes: [N, n_categorical], of the type that `code_type` gives; 0 where missing.
    """

    numeric: Tensor
    codes: Tensor

    @property
    def n_rows(self) -> int:
        """Number of rows N."""
        return len(self.numeric)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.numeric.device

    def rows(self, index: Tensor | slice) -> TableTensors:
        """The rows at `index`, in its order."""
        numeric, codes = self.numeric[index], self.codes[index]
        present = ~numeric.isnan()
        return TableTensors(
            numeric.masked_fill(~present, 0.0), codes.long(), torch.cat([present, codes != MISSING], dim=1)
        )

    def to(self, device: torch.device | str) -> Self:
        """The same rows on another device."""
        return self._replace(numeric=self.numeric.to(device), codes=self.codes.to(device))


class TableSizes(NamedTuple):
    """What a model must know of a table to be built for it.

    Attributes:
        n_numeric: numeric features.
        cardinalities: codes per categorical feature, the two reserved ones included.
    """

    n_numeric: int
    cardinalities: Sequence[int]

    @property
    def n_features(self) -> int:
        """Number of features D."""
        return self.n_numeric + len(self.cardinalities)

    @property
    def code_type(self) -> str:
        """NumPy's name of the smallest integer that holds every code."""
        largest = max(self.cardinalities, default=1) - 1
        return "uint8" if largest < 2**8 else "int16" if largest < 2**15 else "int32"

    @property
    def packed_bytes(self) -> int:
        """Bytes of a row in a `PackedTable`."""
        return 4 * self.n_numeric + np.dtype(self.code_type).itemsize * len(self.cardinalities)
