"""A table as tensors: the input of the models, independent of the source of the data."""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from varjepa.data.tensors.sizes import MISSING, N_RESERVED, OTHER, TableSizes

__all__ = ["MISSING", "N_RESERVED", "OTHER", "PackedTable", "TableSizes", "TableTensors"]


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
        """`numeric` and `codes` with 0 in every missing cell, whatever value was stored there."""
        split = self.numeric.shape[1]
        missing = ~self.observed
        return self.numeric.masked_fill(missing[:, :split], 0.0), self.codes.masked_fill(missing[:, split:], 0)

    def to(self, device: torch.device | str) -> Self:
        """The same table on another device."""
        return self._replace(
            numeric=self.numeric.to(device), codes=self.codes.to(device), observed=self.observed.to(device)
        )


class PackedTable(NamedTuple):
    """Many encoded rows in as few bytes as possible. `rows` turns some of them into tensors for the model.

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
