"""What a predictor reads: one block of numbers per feature, whether raw cells or embedded ones."""

from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from varjepa.data.tensors.table import TableSizes, TableTensors
from varjepa.nn.tokenizer import BinShares

SMALLEST_SPREAD = 1e-6
"""Numbers that vary less than this over the training rows are only centered, in effect."""


class Inputs(NamedTuple):
    """Rows as blocks of numbers.

    Attributes:
        values: float32 [N, D, W], one block of W numbers per feature, zero padded.
        widths: D lengths of the blocks without their padding.
        scaled: whether the numbers are on a common scale already. One-hot codes must not be standardised: a category
            of one row in ten thousand would become a value of a hundred.
    """

    values: Tensor
    widths: tuple[int, ...]
    scaled: bool = True

    def flat(self) -> Tensor:
        """All numbers of a row side by side, without padding: [N, sum of widths]."""
        width = self.values.shape[2]
        if all(used == width for used in self.widths):
            return self.values.flatten(1)
        # A mask over blocks and places, bool [D, W], picks what is no padding, block by block.
        return self.values[:, torch.arange(width)[None, :] < torch.tensor(self.widths)[:, None]]

    def rows(self, index: Tensor | slice) -> Self:
        """The rows at `index`, in its order."""
        return self._replace(values=self.values[index])


def raw_inputs(table: TableTensors, sizes: TableSizes) -> Inputs:
    """Blocks (value, observed, bins if any) of numeric features and one-hot codes of categorical ones.

    Numbers with spikes have the bins that their tokens have in the encoders: otherwise a comparison with embeddings
    would measure what the bins say, and not what the encoders do.

    Args:
        table: encoded rows; what is stored in missing cells does not matter.
        sizes: of the table.
    """
    numeric, codes = table.blanked()  # [N, Dn], [N, Dc]
    bins = sizes.bins or [()] * sizes.n_numeric
    widths = (*(2 + max(len(ends) - 1, 0) for ends in bins), *sizes.cardinalities)
    widest = max(widths)
    # [N, Dn, W] and [N, Dc, W]: all blocks are as wide as the widest one.
    cells = numeric.new_zeros(len(numeric), sizes.n_numeric, widest)
    cells[..., 0] = numeric
    cells[..., 1] = table.observed[:, : sizes.n_numeric]
    if any(sizes.bins):
        # A missing number is 0 here, which fills no bin.
        shares = BinShares(bins)
        filled = shares(numeric)  # [N, features with bins, most bins of any]
        cells[:, shares.features, 2 : 2 + filled.shape[2]] = filled
    return Inputs(torch.cat([cells, F.one_hot(codes, widest).to(numeric.dtype)], dim=1), widths)


def embedding_inputs(mean: Tensor) -> Inputs:
    """Embedded features as blocks; they are standardised by the statistics of the training rows when fitted.

    Args:
        mean: float32 [N, D, d].
    """
    return Inputs(mean, (mean.shape[2],) * mean.shape[1], scaled=False)


def standardised(train: Inputs, *others: Inputs) -> tuple[Inputs, ...]:
    """`train` and `others` with mean 0 and deviation 1 over the rows of `train`; unchanged where scaled already."""
    if train.scaled:
        return train, *others
    center = train.values.mean(0)  # [D, W], as the spread
    spread = train.values.std(0, correction=0).clamp(min=SMALLEST_SPREAD)
    return tuple(part._replace(values=(part.values - center) / spread, scaled=True) for part in (train, *others))
