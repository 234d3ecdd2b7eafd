"""The bootstrap: the same draws in portions of any size, and the same law whether rows or kinds of rows are drawn."""

import numpy as np
import pytest

from varjepa.evaluation import bootstrap
from varjepa.evaluation.bootstrap import bootstrap_counts, bootstrap_rows, percentile_interval

VALUES = np.random.default_rng(0).normal(size=40)
KINDS = np.array([5, 0, 20, 15])


def test_resamples_are_those_of_the_seed_in_portions_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    portions = []

    def means(counts: np.ndarray) -> np.ndarray:
        portions.append(len(counts))
        return (counts * VALUES).sum(1) / 40

    whole = bootstrap_rows(40, means, resamples=25, seed=3)
    kinds = bootstrap_counts(KINDS, lambda drawn: drawn @ np.arange(4), resamples=25, seed=3)
    picks = np.random.default_rng(3).integers(40, size=(25, 40))
    np.testing.assert_allclose(whole, VALUES[picks].mean(1), rtol=1e-12)
    np.testing.assert_array_equal(kinds, np.random.default_rng(3).multinomial(40, KINDS / 40, size=25) @ np.arange(4))
    monkeypatch.setattr(bootstrap, "DRAWN_AT_ONCE", 7 * 40)
    np.testing.assert_array_equal(bootstrap_rows(40, means, resamples=25, seed=3), whole)
    assert portions == [25, 7, 7, 7, 4]
    monkeypatch.setattr(bootstrap, "DRAWN_AT_ONCE", 1)
    again = bootstrap_counts(KINDS, lambda drawn: drawn @ np.arange(4), resamples=25, seed=3)
    np.testing.assert_array_equal(again, kinds)


def test_kinds_of_rows_have_the_law_of_rows() -> None:
    values = np.repeat(np.arange(4.0), KINDS)
    by_row = bootstrap_rows(40, lambda counts: counts @ values / 40, resamples=20_000, seed=0)
    by_kind = bootstrap_counts(KINDS, lambda drawn: drawn @ np.arange(4.0) / 40, resamples=20_000, seed=1)
    # The mean of 20,000 means has a standard error of 0.001, their standard deviation one of half a percent.
    assert by_row.mean() == pytest.approx(by_kind.mean(), abs=0.006)
    assert by_row.std() == pytest.approx(by_kind.std(), rel=0.03)
    assert by_row.std() == pytest.approx(values.std() / 40**0.5, rel=0.03)


def test_rows_of_a_cluster_are_drawn_together() -> None:
    clusters = np.repeat(np.arange(8), 5)
    counts = bootstrap_rows(40, lambda counts: counts, resamples=50, seed=0, clusters=clusters)
    by_cluster = counts.reshape(50, 8, 5)
    assert (by_cluster == by_cluster[:, :, :1]).all()
    assert (by_cluster[:, :, 0].sum(1) == 8).all()


def test_statistics_may_have_several_values() -> None:
    both = bootstrap_rows(
        40, lambda counts: np.stack([counts @ VALUES / 40, counts @ VALUES**2 / 40], 1), resamples=9, seed=0
    )
    assert both.shape == (9, 2)
    assert percentile_interval(both[:, 0], 0.5) == pytest.approx(np.quantile(both[:, 0], [0.25, 0.75]))
