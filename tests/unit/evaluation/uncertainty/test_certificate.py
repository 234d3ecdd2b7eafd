"""Uncertainty measures, their comparison, calibration of probabilities, and the certificate."""

import numpy as np
import pytest
from scipy.stats import binom

from varjepa.evaluation.uncertainty.certificate import RankedRows, certify
from varjepa.evaluation.uncertainty.error_share import ClusterErrors, p_too_many_errors


def population(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Uncertainty and correctness; 95% are right among the 60% surest."""
    rng = np.random.default_rng(seed)
    uncertainty = rng.random(rows)
    return uncertainty, rng.random(rows) < 0.99 - 0.4 * uncertainty**2.5


def test_where_nothing_can_be_promised_that_is_said() -> None:
    uncertainty, _ = population(500, 0)
    poor = np.random.default_rng(1).random(500) < 0.7
    none = certify(RankedRows(uncertainty, poor), RankedRows(uncertainty, poor), accuracy=0.95, confidence=0.9)
    assert none.threshold is None
    assert none.coverage == 0
    assert none.decision("within 5").startswith("none, so no row is accepted; at least 95.0% of accepted rows within 5")
    assert "no threshold keeps 95.0%" in none.reason
    few = certify(RankedRows(uncertainty[:20], poor[:20]), RankedRows(uncertainty, poor), accuracy=0.95, confidence=0.9)
    assert few.threshold is None
    assert "20 calibration rows are too few: even without an error it takes 45" in few.reason
    right = RankedRows(uncertainty, np.ones(500, bool))
    sure = certify(right, right, accuracy=0.95, confidence=0.9)
    assert sure.coverage == 1.0


def test_clusters_count_where_rows_do_not() -> None:
    """2,000 rows of 40 customers say less than 45 independent rows, however many there are of each."""
    uncertainty = np.random.default_rng(0).random(2000)
    rows = RankedRows(uncertainty, np.ones(2000, bool), np.arange(2000) // 50)
    certificate = certify(rows, rows, accuracy=0.95, confidence=0.9)
    assert (certificate.threshold, certificate.clusters) == (None, 40)
    assert "2,000 calibration rows in 40 clusters are too few: even without an error it takes 45" in certificate.reason
    single = certify(
        rows._replace(clusters=np.arange(2000)), rows._replace(clusters=None), accuracy=0.95, confidence=0.9
    )
    assert single == certify(rows._replace(clusters=None), rows._replace(clusters=None), accuracy=0.95, confidence=0.9)


@pytest.mark.parametrize("clusters", [2, 5, 45, 3000])
@pytest.mark.parametrize("wrong", [0.0, 0.03, 0.1])
def test_evenly_spaced_points_give_the_integral(monkeypatch: pytest.MonkeyPatch, clusters: int, wrong: float) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(1, 8, size=clusters)
    counts = ClusterErrors(rng.binomial(rows, wrong), rows)
    found = p_too_many_errors(counts, 0.05, 8)
    monkeypatch.setattr("varjepa.evaluation.uncertainty.error_share.MOST_POINTS", 0)  # by quadrature
    assert found == pytest.approx(p_too_many_errors(counts, 0.05, 8), abs=3e-7)


@pytest.mark.parametrize(("rows", "errors"), [(45, 0), (100, 1), (1000, 40), (20_000, 900)])
def test_the_test_is_a_binomial_tail_where_clusters_do_not_differ_within(rows: int, errors: int) -> None:
    one_row, ten_rows = np.arange(rows) < errors, np.full(rows, 10)
    exact = binom.cdf(errors, rows, 0.05)
    counts = ClusterErrors.of(one_row, None)
    assert p_too_many_errors(counts, 0.05, 1) == pytest.approx(exact)
    assert p_too_many_errors(ClusterErrors(10 * one_row, ten_rows), 0.05, 10) == pytest.approx(exact, abs=1e-7)
    # A little more of the worst kind is possible where one cluster might have been of two rows.
    assert exact < p_too_many_errors(counts, 0.05, 2) < max(3 * exact, 0.5)
