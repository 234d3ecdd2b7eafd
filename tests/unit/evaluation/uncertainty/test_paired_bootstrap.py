"""The paired bootstrap and its p-value against their definitions."""

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from varjepa.evaluation.uncertainty.paired_bootstrap import p_equal, paired_bootstrap


def test_clear_differences_and_directions() -> None:
    rng = np.random.default_rng(0)
    good, bad = (rng.random((5, 800)) < 0.9), (rng.random((5, 800)) < 0.8)
    better, worse = paired_bootstrap(good, bad), paired_bootstrap(bad, good)
    assert better.low > 0 > worse.high
    assert better.p == worse.p < 1e-6
    assert paired_bootstrap(good, good) == (0.0, 0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="same rows"):
        paired_bootstrap(good, bad[:, :9])


def test_equals_resampling_rows() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random((3, 200)), rng.random((2, 200))
    found = paired_bootstrap(first, second, resamples=4000)
    difference = first.mean(0) - second.mean(0)
    means = difference[rng.integers(0, 200, (4000, 200))].mean(1)
    assert found.difference == pytest.approx(difference.mean())
    # An end of the interval has a standard error of about 0.04 deviations of the means.
    assert np.allclose([found.low, found.high], np.quantile(means, [0.025, 0.975]), atol=0.25 * means.std())
    assert found == paired_bootstrap(first, second, resamples=4000)


def test_p_of_answers_is_that_of_random_signs() -> None:
    """One seed: McNemar's test. Several seeds, also unequal numbers of them: all patterns of signs, counted."""
    rng = np.random.default_rng(2)
    first, second = rng.random((2, 1, 60)) < 0.7
    gains, losses = int((first > second).sum()), int((first < second).sum())
    assert p_equal(first, second) == pytest.approx(binomtest(gains, gains + losses).pvalue)
    first, second = (rng.random((3, 10)) < 0.8).astype(float), (rng.random((2, 10)) < 0.6).astype(float)
    differences = first.mean(0) - second.mean(0)
    signs = 2 * (np.arange(2**10)[:, None] >> np.arange(10) & 1) - 1  # [1024, 10]
    extreme = np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9
    assert p_equal(first, second) == pytest.approx(extreme.mean())


def test_p_of_values_is_students() -> None:
    values = np.random.default_rng(3).normal(0.2, 1, (1, 100))
    assert p_equal(values, np.zeros((4, 100))) == pytest.approx(ttest_1samp(values[0], 0).pvalue)
    assert p_equal(values, values) == p_equal(values[:, :1], values[:, 1:2]) == 1.0
