"""How well an embedding predicts cells that the network did not see: a score for any kind of network, without a label.

The ELBO cannot compare jobs of different masks, weights or kinds: each has its own. Hidden cells are the same for all.
The columns are dealt into folds. Each fold in turn is hidden from the network, and a ridge regression on the embedding
of the other columns predicts it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from varjepa.data.tensors.sizes import TableSizes
from varjepa.data.tensors.table import TableTensors
from varjepa.models.embedding import embed
from varjepa.models.network import TableNetwork

FOLDS = 4
"""Groups of columns that are hidden in turn."""

ROWS = 2000
"""At most this many rows of each part; more would make little difference to a mean over rows and cells."""

L2 = 0.1
"""Ridge penalty per training row on standardised inputs."""

VARIANCE_FLOOR = 1e-12

HIDDEN_CELLS = "validation/hidden_cells"
"""Metric of an epoch; lower is better."""


@dataclass(frozen=True)
class HiddenCells:
    """Predicts hidden cells by ridge regression on embeddings.

    Attributes:
        train: rows that the regressions are fitted on, on the network's device.
        sizes: of the table.
    """

    train: TableTensors
    sizes: TableSizes

    def row_errors(self, network: TableNetwork, table: TableTensors) -> Tensor:
        """Mean squared error of a row's cells when they are hidden, relative to the variance of their column.

        0 is exact, 1 is no better than the mean of the training rows. Cells that are missing count neither way.

        Args:
            network: trained, of any kind.
            table: N rows to predict.

        Returns:
            float64 [N]; NaN for rows without an observed cell.
        """
        errors = torch.full(table.observed.shape, torch.nan, dtype=torch.float64, device=table.device)  # [N, D]
        columns = torch.arange(self.sizes.n_features, device=table.device)
        for fold in range(min(FOLDS, self.sizes.n_features)):
            hidden = columns % FOLDS == fold
            x_train, x = (_flat(network, part, hidden) for part in (self.train, table))
            train, new = _targets(self.train, self.sizes, hidden), _targets(table, self.sizes, hidden)
            errors[:, hidden] = _relative_errors(train, _ridge(x_train, train.centered, x), new)
        return errors.where(table.observed, torch.nan).nanmean(1)


class _Targets(NamedTuple):
    """What is predicted of some rows: numbers, and one column per category.

    Attributes:
        values: float64 [N, T]; NaN where the cell is missing.
        feature: which of the hidden features each target belongs to, [T].
    """

    values: Tensor
    feature: Tensor

    @property
    def mean(self) -> Tensor:
        """Of each target over the rows where it is observed, [T]; 0 where it never is."""
        return self.values.nanmean(0).nan_to_num()

    @property
    def centered(self) -> Tensor:
        """[N, T], 0 where missing."""
        return (self.values - self.mean).nan_to_num()

    @property
    def variance(self) -> Tensor:
        """Of each target over the rows where it is observed, [T]; 0 where it never is."""
        return (self.values - self.mean).square().nanmean(0).nan_to_num()


def _targets(table: TableTensors, sizes: TableSizes, hidden: Tensor) -> _Targets:
    """The cells of the hidden columns [D] as numbers."""
    parts = list[Tensor]()
    for column in hidden.nonzero().squeeze(1).tolist():
        number = column - sizes.n_numeric
        cells = table.numeric[:, column, None] if number < 0 else F.one_hot(
            table.codes[:, number], sizes.cardinalities[number]
        )  # fmt: skip
        parts.append(cells.double().masked_fill(~table.observed[:, column, None], torch.nan))
    widths = torch.tensor([part.shape[1] for part in parts], device=table.device)
    return _Targets(torch.cat(parts, dim=1), torch.arange(len(parts), device=table.device).repeat_interleave(widths))


def _flat(network: TableNetwork, table: TableTensors, hidden: Tensor) -> Tensor:
    """Embeddings [N, D d] of rows whose hidden columns [D] the network takes for missing."""
    return embed(network, table._replace(observed=table.observed & ~hidden)).mean.flatten(1).double()


def _ridge(x_train: Tensor, targets: Tensor, x: Tensor) -> Tensor:
    """Predictions [N, T] for inputs [N, F], from n training rows with inputs [n, F] and centered targets [n, T]."""
    center, spread = x_train.mean(0), x_train.std(0, correction=0).clamp(min=1e-6)
    x_train, x = (x_train - center) / spread, (x - center) / spread
    rows, inputs = x_train.shape
    penalty = L2 * rows * torch.eye(min(rows, inputs), dtype=x.dtype, device=x.device)
    if inputs <= rows:
        return x @ torch.linalg.solve(x_train.T @ x_train + penalty, x_train.T @ targets)
    # Fewer rows than inputs: the same regression, solved for a weight per row.
    return x @ (x_train.T @ torch.linalg.solve(x_train @ x_train.T + penalty, targets))


def _relative_errors(train: _Targets, predicted: Tensor, new: _Targets) -> Tensor:
    """Squared errors [N, features] of N rows, relative to the variance in the training rows; NaN where missing."""
    squares = (new.values - train.mean - predicted).square()  # [N, T]
    variance = train.variance
    features = int(train.feature[-1]) + 1
    sums = squares.new_zeros(len(squares), features).index_add(1, train.feature, squares)
    spread = variance.new_zeros(features).index_add(0, train.feature, variance)
    # A column without spread tells nothing.
    return torch.where(spread > VARIANCE_FLOOR, sums / spread, torch.nan)


@dataclass(frozen=True)
class HiddenCellsEvaluator:
    """Adds the score of an epoch on hidden cells of the validation rows to its metrics; it selects no epoch.

    Attributes:
        cells: fitted on training rows.
        validation: rows to predict, on the network's device.
    """

    cells: HiddenCells
    validation: TableTensors

    def __call__(self, network: TableNetwork) -> tuple[None, dict[str, float]]:
        """Returns (no score, metrics)."""
        return None, {HIDDEN_CELLS: float(self.cells.row_errors(network, self.validation).nanmean())}
