"""Hidden cells are predicted from what the network sees of the others."""

from typing import Any

import pytest
import torch

from tests.small_networks import SIZES, random_table, small_network
from varjepa.data.tensors.table import TableSizes, TableTensors
from varjepa.evaluation import hidden_cells
from varjepa.evaluation.hidden_cells import HIDDEN_CELLS, HiddenCells, HiddenCellsEvaluator
from varjepa.models.network import Embedding

PAIR = TableSizes(2, [])


class Seen:
    """A network whose embedding of a cell is its number, and 0 where it does not see the cell."""

    training, precision, has_scale, d_hidden = False, torch.float32, False, 1

    def parameters(self) -> Any:
        yield torch.zeros(1)

    def eval(self) -> None: ...

    def train(self, mode: bool) -> None: ...

    def embed(self, table: TableTensors) -> Embedding:
        return Embedding(table.blanked()[0][:, :, None], None)


def pair(rows: int, noise: float, seed: int = 0) -> TableTensors:
    """Two columns, the second one the first one with noise."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(rows, generator=generator)
    second = (first + noise * torch.randn(rows, generator=generator)) / (1 + noise**2) ** 0.5
    return TableTensors(torch.stack([first, second], 1), torch.zeros(rows, 0, dtype=torch.long),
                        torch.ones(rows, 2, dtype=torch.bool))  # fmt: skip


@pytest.mark.parametrize(("noise", "unexplained"), [(0.0, 0.0), (1.0, 0.5), (100.0, 1.0)])
def test_the_error_is_the_share_of_variance_that_the_other_columns_leave(noise: float, unexplained: float) -> None:
    errors = HiddenCells(pair(3000, noise), PAIR).row_errors(Seen(), pair(3000, noise, seed=1))
    assert float(errors.mean()) == pytest.approx(unexplained, abs=0.05)


def test_errors_are_shares_of_the_variance_of_the_cells_that_are_there() -> None:
    """Columns that say nothing of each other, four of five cells missing: each is predicted as well as by the mean."""
    table = random_table(3000, missing=0.8)
    errors = HiddenCells(table, SIZES).row_errors(small_network(), random_table(3000, missing=0.8, seed=1))
    assert float(errors.nanmean()) == pytest.approx(1.0, abs=0.05)


def test_missing_cells_count_neither_way_and_are_not_looked_at() -> None:
    table, train = random_table(60, missing=0.4, seed=1), random_table(200, missing=0.4)
    cells, network = HiddenCells(train, SIZES), small_network()
    errors = cells.row_errors(network, table)
    split = SIZES.n_numeric
    other = table._replace(
        numeric=table.numeric.masked_fill(~table.observed[:, :split], 7.0),
        codes=table.codes.masked_fill(~table.observed[:, split:], 1),
    )
    assert torch.equal(errors, cells.row_errors(network, other))
    empty = table._replace(observed=torch.zeros_like(table.observed))
    assert cells.row_errors(network, empty).isnan().all()


@pytest.mark.parametrize("rows", [20, 400], ids=["fewer rows than inputs", "more"])
def test_both_ways_to_solve_the_regression_agree(rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(rows, size, generator=generator, dtype=torch.float64) for size in (40, 3))
    new = torch.randn(5, 40, generator=generator, dtype=torch.float64)
    center, spread = x.mean(0), x.std(0, correction=0)
    standard = (x - center) / spread
    stacked = torch.cat([standard, (hidden_cells.L2 * rows) ** 0.5 * torch.eye(40, dtype=torch.float64)])
    weight = torch.linalg.lstsq(stacked, torch.cat([y, torch.zeros(40, 3, dtype=torch.float64)])).solution
    assert torch.allclose(hidden_cells._ridge(x, y, new), (new - center) / spread @ weight)


@pytest.mark.parametrize("sizes", [TableSizes(1, []), TableSizes(0, [3]), TableSizes(5, [4]), SIZES])
def test_every_column_of_any_table_is_scored(sizes: TableSizes) -> None:
    network = small_network(sizes=sizes)
    table, train = (random_table(50, seed=seed, sizes=sizes) if sizes.cardinalities else numbers(50, sizes, seed)
                    for seed in (0, 1))  # fmt: skip
    errors = HiddenCells(train, sizes).row_errors(network, table)
    assert torch.equal(errors.isnan(), ~table.observed.any(1))
    score, metrics = HiddenCellsEvaluator(HiddenCells(train, sizes), table)(network)
    assert (score, metrics) == (None, {HIDDEN_CELLS: pytest.approx(float(errors.nanmean()))})


def numbers(rows: int, sizes: TableSizes, seed: int) -> TableTensors:
    generator = torch.Generator().manual_seed(seed)
    return TableTensors(torch.randn(rows, sizes.n_numeric, generator=generator), torch.zeros(rows, 0, dtype=torch.long),
                        torch.ones(rows, sizes.n_features, dtype=torch.bool))  # fmt: skip


def test_a_constant_column_tells_nothing() -> None:
    table = pair(100, 0.0)
    constant = table._replace(numeric=table.numeric.clone())
    constant.numeric[:, 0] = 1.0
    assert HiddenCells(constant, PAIR).row_errors(Seen(), constant).isfinite().all()
