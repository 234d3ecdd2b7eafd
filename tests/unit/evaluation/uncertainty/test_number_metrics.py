"""Metrics and certificates of numbers."""

import numpy as np
import pytest

from varjepa.evaluation.uncertainty.number_metrics import (
    NumberRows,
    certify_numbers,
    default_tolerance,
    interval_metrics,
    selective_number_metrics,
    uniform_distance,
)
from varjepa.evaluation.uncertainty.predictive import Arms, RowQuantiles, fit_rule


def test_the_certificate_says_what_error_it_tolerates() -> None:
    rng = np.random.default_rng(80)
    rows = [NumberRows(size, size * rng.uniform(-1, 1, size=800)) for size in rng.uniform(0, 3, size=(2, 800))]
    certificate = certify_numbers(*rows, tolerance=1.0, accuracy=0.9, confidence=0.9, assumption="as before")
    assert certificate.kind == "selective_error"
    assert certificate.tolerance == 1.0
    assert certificate.assumption == "as before"
    assert certificate.coverage_error is not None
    kept = rows[0].uncertainty <= (certificate.threshold or 0.0)
    assert 0.2 < certificate.coverage == pytest.approx(kept.mean())
    assert (np.abs(rows[0].error[kept]) <= 1).mean() >= 0.9


def test_a_certificate_without_enough_rows_accepts_nothing() -> None:
    rows = NumberRows(np.ones(5), np.zeros(5))
    assert certify_numbers(rows, rows, tolerance=1.0, accuracy=0.9, confidence=0.9).threshold is None


@pytest.mark.parametrize(
    ("labels", "tolerance"),
    [
        (np.arange(101.0), 25.0),
        (np.append(np.zeros(90), np.full(10, 5.0)), 1.5),  # zeros: the standard deviation
        (np.full(10, 3.0), 1.0),
    ],
)
def test_the_default_tolerance_depends_on_the_training_labels_only(labels: np.ndarray, tolerance: float) -> None:
    assert default_tolerance(labels) == pytest.approx(tolerance)


def test_a_perfect_order_has_no_excess_and_smaller_errors_first() -> None:
    error = np.linspace(-2, 2, 101)
    metrics = selective_number_metrics(np.abs(error), error)
    assert metrics["e_aurc"] == pytest.approx(0)
    assert metrics["rmse_50"] < metrics["rmse_80"] < metrics["rmse_90"]
    worse = selective_number_metrics(np.zeros(101), error)
    assert worse["aurc"] > metrics["aurc"]
    assert worse["aurc_squared"] > metrics["aurc_squared"]


def test_interval_metrics_of_rows_like_the_calibration_rows() -> None:
    rng = np.random.default_rng(81)
    maps = RowQuantiles.around(np.zeros(3000), np.full(3000, 2.0))
    rule = fit_rule(("split", Arms(), "the only one"), maps, rng.normal(size=3000), 0.8)
    assert rule is not None
    metrics = interval_metrics(rule, maps, rng.normal(size=3000))
    assert metrics["interval/promised"] == 0.8
    assert metrics["interval/coverage"] == pytest.approx(0.8, abs=0.03)
    assert metrics["interval/width"] == pytest.approx(2 * 1.2816, rel=0.05)
    assert metrics["interval/pit_ks"] < 0.05
    assert type(rule).model_validate_json(rule.model_dump_json()) == rule


def test_values_far_from_uniform_are_far() -> None:
    assert uniform_distance(np.full(10, 0.5)) == 0.5
    assert uniform_distance((np.arange(1000) + 0.5) / 1000) < 0.001
