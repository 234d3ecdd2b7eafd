"""Risk and coverage against loops, closed forms and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from varjepa.evaluation.auroc import auroc
from varjepa.evaluation.uncertainty.selective import (
    augrc,
    aurc,
    excess_aurc,
    oracle,
    risk_at,
    risk_coverage,
)


def test_risk_coverage_against_loops_and_ties() -> None:
    rng = np.random.default_rng(0)
    uncertainty, loss = rng.random(50), (rng.random(50) < 0.3).astype(float)
    curve = risk_coverage(uncertainty, loss)
    order = np.argsort(uncertainty)
    for k in (1, 7, 50):
        assert curve.risk[k - 1] == pytest.approx(loss[order[:k]].mean())
        assert curve.coverage[k - 1] == k / 50
    assert aurc(curve) == pytest.approx(np.mean([loss[order[:k]].mean() for k in range(1, 51)]))
    constant = risk_coverage(np.zeros(50), loss)
    assert np.allclose(constant.risk, loss.mean())
    assert aurc(oracle(loss)) <= aurc(curve)
    # The best possible AURC in closed form, for many rows: r + (1 - r) ln(1 - r).
    many = (np.arange(100_000) < 20_000).astype(float)
    assert excess_aurc(oracle(many), many) == 0
    # Random order: an error rate r at every coverage c gives r c on average, and the area is r / 2.
    flat = risk_coverage(np.zeros(len(many)), many)
    assert augrc(flat) == pytest.approx(many.mean() / 2, rel=1e-2)
    assert augrc(oracle(many)) < augrc(flat)
    assert aurc(oracle(many)) == pytest.approx(0.2 + 0.8 * np.log(0.8), abs=1e-4)
    assert risk_at(curve, 0.5) == curve.risk[24]


def test_failure_auroc_equals_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(1)
    uncertainty, error = rng.integers(0, 8, 200).astype(float), rng.random(200) < 0.3
    assert auroc(uncertainty, error) == pytest.approx(roc_auc_score(error, uncertainty))
    assert np.isnan(auroc(uncertainty, np.zeros(200, dtype=bool)))
    endless = np.where(uncertainty == uncertainty.max(), np.inf, uncertainty)
    assert auroc(endless, error) == auroc(uncertainty, error)
