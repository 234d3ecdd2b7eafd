"""A table as tensors: what the model reads, whatever the data came from."""

from collections.abc import Sequence
from typing import NamedTuple, Self

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
