"""Interpolation between normal scores."""

import numpy as np
import pytest

from varjepa.data.encode.interpolation import interpolation
from varjepa.data.fit.normal_scores import normal_scores


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_interpolation_is_numpys(scale: float) -> None:
    rng = np.random.default_rng(0)
    for sample in (rng.normal(size=5000), rng.exponential(size=5000), rng.integers(0, 9, 5000), np.array([0.0, 1.0])):
        knots, scores = normal_scores(sample * scale, 1000)
        values = np.concatenate(
            [sample * scale, rng.normal(size=500) * 3 * scale, knots, [np.nan, np.inf, -np.inf, 0.0]]
        )
        expected = np.interp(values, knots, scores)
        np.testing.assert_allclose(interpolation(knots, scores)(values), expected, rtol=1e-12, atol=1e-12)
