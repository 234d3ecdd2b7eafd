"""Normal scores, interpolation between them, and order statistics of many rows."""

import numpy as np
import pytest

from varjepa.data.fit.normal_scores import normal_scores


def test_normal_scores_put_ties_in_the_middle_and_rise() -> None:
    knots, scores = normal_scores(np.array([0.0] * 900 + list(range(1, 101))), 16)
    assert len(knots) == len(scores) <= 16
    assert knots[0] == 0.0
    assert scores[0] == pytest.approx(-0.1257, abs=1e-3)  # standard normal quantile of 0.45
    assert (np.diff(scores) > 0).all()
    assert (np.diff(knots) > 0).all()
