"""Bars: a softmax over them must be able to say what any column holds, piles and tails included."""

import numpy as np
import pytest
import torch

from varjepa.data.tensors.bars import N_POINTS, Cells, cut
from varjepa.data.tensors.table import TableTensors


def table(values: np.ndarray) -> TableTensors:
    numeric = torch.tensor(values, dtype=torch.float32)[:, None]
    return TableTensors(numeric, torch.zeros(len(values), 0, dtype=torch.int64), torch.ones(len(values), 1).bool())


def test_what_many_rows_share_has_a_bar_of_its_own() -> None:
    rng = np.random.default_rng(0)
    sample = np.where(rng.random(5000) < 0.5, 0.0, rng.exponential(size=5000)).astype(np.float32)
    bars = cut(sample, 16)
    assert (0.0,) * N_POINTS in bars.points
    assert 9 <= len(bars.points) <= 18
    rows = np.bincount(Cells([bars], []).classes(table(sample))[:, 0].numpy())
    assert rows[1:].max() < 2 * rows[1:].mean()  # the others hold about equally many


def test_drawing_places_evenly_gives_the_column_back() -> None:
    sample = np.random.default_rng(1).normal(size=20_000).astype(np.float32)
    cells = Cells([cut(sample, 32)], [])
    classes = cells.classes(table(sample))[:, 0]
    drawn = cells.values(0, classes, torch.rand(len(sample), generator=torch.Generator().manual_seed(0))).numpy()
    levels = np.linspace(0.01, 0.99, 50)
    assert np.abs(np.quantile(drawn, levels) - np.quantile(sample, levels)).max() < 0.05


def test_places_are_the_inverse_of_values() -> None:
    cells = Cells([cut(np.random.default_rng(2).normal(size=2000).astype(np.float32), 8)], [])
    bar, place = torch.arange(8).repeat(20), torch.linspace(0.01, 0.99, 160)
    low, high = cells.places(0, bar, cells.values(0, bar, place))
    assert torch.maximum((low - place).abs(), (high - place).abs()).max() == pytest.approx(0, abs=2e-3)


@pytest.mark.parametrize("lower", [0.0, 0.1, 1.0, np.float32(1.0) + np.finfo(np.float32).eps])
def test_neighbours_among_numbers_have_bars_of_their_own(lower: float) -> None:
    """Halfway between 0 and the next number rounds to 0: both were in the second bar."""
    values = np.array([lower, np.nextafter(np.float32(lower), np.float32(9))], dtype=np.float32)
    cells = Cells([cut(values, 2)], [])
    assert cells.classes(table(values))[:, 0].tolist() == [0, 1]
