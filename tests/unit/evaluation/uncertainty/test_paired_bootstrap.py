"""The paired bootstrap against its definition and its stated coverage."""

import numpy as np
import pytest

from varjepa.evaluation.uncertainty.paired_bootstrap import paired_bootstrap


def test_outcomes_and_directions() -> None:
    rng = np.random.default_rng(0)
    good, bad = (rng.random((5, 800)) < 0.9), (rng.random((5, 800)) < 0.8)
    assert paired_bootstrap(good, bad, higher_is_better=True).outcome == "win"
    assert paired_bootstrap(bad, good, higher_is_better=True).outcome == "loss"
    assert paired_bootstrap(good, bad, higher_is_better=False).outcome == "loss"
    assert paired_bootstrap(good, good, higher_is_better=True) == (0.0, 0.0, 0.0, "tie")
    with pytest.raises(ValueError, match="same rows"):
        paired_bootstrap(good, bad[:, :9], higher_is_better=True)


def test_equals_resampling_rows() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random((3, 200)), rng.random((2, 200))
    found = paired_bootstrap(first, second, higher_is_better=True, resamples=4000)
    difference = first.mean(0) - second.mean(0)
    means = difference[rng.integers(0, 200, (4000, 200))].mean(1)
    assert found.difference == pytest.approx(difference.mean())
    # An end of the interval has a standard error of about 0.04 deviations of the means.
    assert np.allclose([found.low, found.high], np.quantile(means, [0.025, 0.975]), atol=0.25 * means.std())
    assert found == paired_bootstrap(first, second, higher_is_better=True, resamples=4000)
