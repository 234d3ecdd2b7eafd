"""The reach of an interval, from reference cells."""

import numpy as np
import pytest

from varjepa.inference.generator.reference import conformal_reach


@pytest.mark.parametrize(("rows", "level", "reach"), [(9, 0.9, 1.0), (3, 0.9, 1.0), (0, 0.5, 1.0), (99, 0.5, 0.5051)])
def test_few_reference_cells_widen_intervals(rows: int, level: float, reach: float) -> None:
    evenly = tuple(np.linspace(0, 1, 101))
    assert conformal_reach(evenly, rows, level) == pytest.approx(reach, abs=1e-3)
