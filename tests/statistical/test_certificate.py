"""The certificate's accuracy holds with the stated confidence."""

import numpy as np

from tests.unit.evaluation.uncertainty.test_certificate import population
from varjepa.evaluation.uncertainty.certificate import certify


def test_the_promise_is_broken_as_rarely_as_it_says() -> None:
    """300 calibration parts, 90% confidence: at most 10% of promises may be broken, with room for chance."""
    truth, right = population(400_000, 10**6)
    other = population(1000, 10**6 + 1)[0]
    broken, coverage = 0, []
    for trial in range(300):
        uncertainty, correct = population(1000, trial)
        certificate = certify(uncertainty, correct, other, accuracy=0.95, confidence=0.9)
        if certificate.threshold is not None:
            broken += right[truth <= certificate.threshold].mean() < 0.95
            coverage.append(certificate.coverage)
    assert broken <= 30
    assert np.mean(coverage) > 0.5  # and it accepts most of what it may
    assert len(coverage) >= 285
