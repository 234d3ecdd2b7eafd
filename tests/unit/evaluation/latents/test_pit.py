"""Distances of PIT values from uniform, per pair of feature and dimension."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

from varjepa.evaluation.latents.pit import FEWEST, ks_per_column, pit_distances
from varjepa.evaluation.uncertainty.calibration import pit_values


def holed(values: np.ndarray, share: float, seed: int) -> np.ndarray:
    out = values.copy()
    out[np.random.default_rng(seed).random(values.shape) < share] = np.nan
    return out


def present(column: np.ndarray) -> np.ndarray:
    return column[np.isfinite(column)]


def test_distances_from_uniform_equal_scipy() -> None:
    values = holed(np.random.default_rng(3).beta(2, 1, (500, 6)), 0.4, 0)
    expected = [kstest(present(column), "uniform").statistic for column in values.T]
    np.testing.assert_allclose(ks_per_column(values), expected)
    assert ks_per_column(pit_values(np.random.default_rng(3).normal(size=(20_000, 1))))[0] < 0.02


def test_distances_of_parts_equal_scipy() -> None:
    rng = np.random.default_rng(4)
    validation, test = holed(rng.random((300, 5)), 0.5, 1), holed(rng.beta(1.2, 1, (300, 5)), 0.3, 2)
    found = pit_distances(validation, test, seed=0)
    expected = [ks_2samp(present(a), present(b)).statistic for a, b in zip(validation.T, test.T, strict=True)]
    np.testing.assert_allclose(found.recalibrated, expected, atol=1e-6)
    np.testing.assert_allclose(found.trained, ks_per_column(test))
    longer = np.concatenate([test, test[::-1]])  # the longer part is cut
    np.testing.assert_allclose(pit_distances(validation, longer, seed=0).trained, found.trained)
    # Recalibration by the share of validation values below, and then the distance from uniform, is the same.
    for a, b, distance in zip(validation.T, test.T, found.recalibrated, strict=True):
        shares = np.searchsorted(np.sort(present(a)), present(b), side="right") / len(present(a))
        assert kstest(shares, "uniform").statistic == pytest.approx(distance, abs=1.5 / len(present(a)))


def test_equal_values_are_no_distance() -> None:
    rng = np.random.default_rng(8)
    validation, test = np.round(rng.random((2, 200, 4)), 1)
    validation[:, 3] = test[:, 3] = 1.0
    found = pit_distances(validation, test, seed=0)
    expected = [ks_2samp(a, b).statistic for a, b in zip(validation.T, test.T, strict=True)]
    np.testing.assert_allclose(found.recalibrated, expected, atol=1e-6)
    assert found.recalibrated[3] == pytest.approx(0, abs=1e-6)


def test_pairs_with_too_few_values_are_left_out() -> None:
    values = np.random.default_rng(5).random((100, 3))
    values[FEWEST - 1 :, 1] = np.nan
    assert pit_distances(values, values, seed=0).trained.shape == (2,)
    assert pit_distances(values[: FEWEST - 1], values, seed=0) is None
    assert pit_distances(values[:, :0], values[:, :0], seed=0) is None


def test_the_same_seed_gives_the_same_chance() -> None:
    one, other = np.random.default_rng(6).random((2, 80, 4))
    first, again = (pit_distances(one, other, seed=1) for _ in range(2))
    assert (first.median_by_chance, first.worst_by_chance) == (again.median_by_chance, again.worst_by_chance)
    assert first.median_by_chance <= first.worst_by_chance
