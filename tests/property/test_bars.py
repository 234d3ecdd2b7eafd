"""Bars of any column: every value lies in its bar and can be drawn from it."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data.tensors.test_bars import table
from varjepa.data.tensors.bars import Cells, cut


@settings(max_examples=50)
@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=300), st.integers(2, 40))
def test_every_value_lies_in_its_bar_and_can_be_drawn_from_it(values: list[float], n_bars: int) -> None:
    sample = np.array(values, dtype=np.float32)
    bars = cut(sample, n_bars)
    assert list(bars.edges) == sorted(set(bars.edges))
    cells = Cells([bars], [])
    classes = cells.classes(table(sample))[:, 0]
    assert classes.min() == 0
    assert classes.max() == len(bars.points) - 1 == cells.sizes[0] - 1
    points = cells.points[0, classes]
    assert (points[:, 0] <= torch.tensor(sample) + 1e-4).all()
    assert (points[:, -1] >= torch.tensor(sample) - 1e-4).all()
    drawn = cells.values(0, classes, torch.rand(len(sample), generator=torch.Generator().manual_seed(0)))
    assert (cells.classes(table(drawn.numpy()))[:, 0] == classes).all()
    low, high = cells.places(0, classes, torch.tensor(sample))
    assert (low <= high + 1e-6).all()
    assert (low >= 0).all()
    assert (high <= 1 + 1e-6).all()
