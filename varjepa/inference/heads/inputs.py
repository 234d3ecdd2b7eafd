"""Inputs of heads: the embedding of rows, their raw cells, or both, as trees and as linear models need them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from varjepa.config.heads import FEATURES
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.table import MISSING, TableTensors
from varjepa.evaluation.latents.components import principal_components
from varjepa.nn.tokenizer import BinShares

N_COMPONENTS = 64
"""Principal components of the embedding that trees and networks read; linear heads read all of it."""

FITTED_ROWS = 20_000
"""Training rows, drawn at random, that the components come from."""


class HeadRows(NamedTuple):
    """Rows as heads read them.

    Attributes:
        flat: embeddings float32 [N, D d].
        table: encoded cells of the same rows.
    """

    flat: Tensor
    table: TableTensors

    def take(self, index: Tensor | slice) -> Self:
        """The rows at `index`, in its order."""
        return self._replace(flat=self.flat[index], table=self.table.rows(index))


@dataclass(frozen=True)
class Components:
    """Whitened principal components of the embedding.

    Attributes:
        center: float32 [F], mean of training embeddings.
        basis: float32 [F, K], directions divided by the standard deviation along each.
    """

    center: Tensor
    basis: Tensor

    @classmethod
    def fit(cls, flat: Tensor, seed: int) -> Self:
        """The first `N_COMPONENTS` of training embeddings [N, F]."""
        order = np.random.default_rng([seed, 35]).permutation(len(flat))[:FITTED_ROWS]
        found = principal_components(flat[torch.from_numpy(order).to(flat.device)], N_COMPONENTS, seed=seed)
        return cls(found.center, found.whitening)

    def __call__(self, flat: Tensor) -> Tensor:
        """Coordinates float32 [N, K] of embeddings [N, F]."""
        return (flat - self.center) @ self.basis


def tree_inputs(rows: HeadRows, features: FEATURES, components: Components | None) -> Tensor:
    """Inputs of trees: numbers with NaN where missing, codes of categories, and components of the embedding.

    Trees see only the order of numbers, so their encoding does not matter.

    Args:
        rows: N rows.
        features: what to read.
        components: needed unless `features` is raw.

    Returns:
        float32 [N, F], in the order of `tree_types`.
    """
    parts = []
    if features != "embedding":
        split, table = rows.table.numeric.shape[1], rows.table
        parts.append(table.numeric.masked_fill(~table.observed[:, :split], float("nan")))
        parts.append(table.codes.float().masked_fill(table.codes == MISSING, float("nan")))
    if features != "raw" and components is not None:
        parts.append(components(rows.flat))
    return torch.cat(parts, dim=1)


def tree_types(table: TableTensors, features: FEATURES, components: Components | None) -> list[str]:
    """XGBoost's type of each input: q for numbers, c for categories."""
    types: list[str] = []
    if features != "embedding":
        types += ["q"] * table.numeric.shape[1] + ["c"] * table.codes.shape[1]
    if features != "raw" and components is not None:
        types += ["q"] * components.basis.shape[1]
    return types


@dataclass(frozen=True)
class RawColumns:
    """Raw cells as inputs of a linear model.

    Attributes:
        preprocessor: of the table.
        warped: numbers as encoded for the network, so that skewed ones are normal scores. Otherwise numbers as in the
            table (cut at the range of training), which a linear relation needs.
        binned: with the bins of spiked numbers beside them, as the tokens of the network have.
    """

    preprocessor: Preprocessor
    warped: bool
    binned: bool = False

    @classmethod
    def readings(cls, preprocessor: Preprocessor) -> list[Self]:
        """The ways to read a table between which other rows choose."""
        return [cls(preprocessor, warped, binned=any(preprocessor.sizes.bins)) for warped in (False, True)]

    @property
    def width(self) -> int:
        """Number of inputs F."""
        sizes = self.preprocessor.sizes
        bins = sum(len(ends) - 1 for ends in sizes.bins if ends) if self.binned else 0
        return 2 * sizes.n_numeric + sum(sizes.cardinalities) + bins

    def __call__(self, table: TableTensors) -> Tensor:
        """Numbers, whether they are observed, one column per category, and one per bin.

        A missing number has the mean of the encoding.

        Returns:
            float32 [N, F].
        """
        sizes = self.preprocessor.sizes
        numeric, codes = table.blanked()
        numbers = numeric if self.warped else self._unwarped(numeric)
        one_hot = [torch.nn.functional.one_hot(codes[:, j], size) for j, size in enumerate(sizes.cardinalities)]
        bins = [self._bins(numeric)] if self.binned else []
        return torch.cat([numbers, table.observed[:, : sizes.n_numeric], *one_hot, *bins], dim=1).float()

    def _bins(self, numeric: Tensor) -> Tensor:
        """How full each bin is; none of a missing number, which is 0."""
        bins = self.preprocessor.sizes.bins
        shares = BinShares(bins).to(numeric.device)(numeric.float())  # [N, features with bins, most bins of any]
        return torch.cat([shares[:, place, : len(ends) - 1] for place, ends in enumerate(filter(None, bins))], dim=1)

    def _unwarped(self, numeric: Tensor) -> Tensor:
        cells, columns = numeric.double().cpu().numpy(), self.preprocessor.numeric
        # In standard deviations, as float32 has too few digits for numbers such as dates in days.
        unwarped = [(column.decode(cells[:, j]) - column.mean) / column.std for j, column in enumerate(columns)]
        return torch.from_numpy(stacked_columns(unwarped, len(cells))).to(numeric.device)


def stacked_columns(columns: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """Columns [N] side by side, float32 [N, n]; n may be 0."""
    return np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros((rows, 0), dtype=np.float32)
