"""Uncertainty measures, their comparison, calibration of probabilities, and the certificate."""

import numpy as np

from varjepa.evaluation.uncertainty.certificate import certify


def population(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Uncertainty and correctness; 95% are right among the 60% surest."""
    rng = np.random.default_rng(seed)
    uncertainty = rng.random(rows)
    return uncertainty, rng.random(rows) < 0.99 - 0.4 * uncertainty**2.5


def test_where_nothing_can_be_promised_that_is_said() -> None:
    uncertainty, _ = population(500, 0)
    poor = np.random.default_rng(1).random(500) < 0.7
    none = certify(uncertainty, poor, uncertainty, accuracy=0.95, confidence=0.9)
    assert none.threshold is None
    assert none.coverage == 0
    assert "no threshold keeps 95.0%" in none.reason
    few = certify(uncertainty[:20], poor[:20], uncertainty, accuracy=0.95, confidence=0.9)
    assert few.threshold is None
    assert "20 calibration rows are too few: even without an error it takes 45" in few.reason
    sure = certify(uncertainty, np.ones(500, bool), uncertainty, accuracy=0.95, confidence=0.9)
    assert sure.coverage == 1.0
