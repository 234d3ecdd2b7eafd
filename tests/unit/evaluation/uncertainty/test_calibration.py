"""Calibration: errors, temperature, scores of probabilities."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from varjepa.evaluation.uncertainty.calibration import (
    adaptive_calibration_error,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)
from varjepa.evaluation.uncertainty.metrics import Classified, brier_score, classification_metrics


def test_calibration_error_finds_overconfidence() -> None:
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.5, 1, 50_000)
    honest = expected_calibration_error(confidence, rng.random(50_000) < confidence)
    correct = rng.random(50_000) < confidence - 0.1
    boastful = expected_calibration_error(confidence, correct)
    assert honest < 0.01
    assert boastful == pytest.approx(0.1, abs=0.01)
    bins = reliability(confidence, correct)  # what the diagram shows is what the number sums up
    assert bins.rows.sum() == 50_000
    assert boastful == pytest.approx(np.abs(bins.confidence - bins.accuracy) @ bins.rows / 50_000)


def probabilities(rows: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, 3)) * 2
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return logits, (rng.random((rows, 1)) > chances.cumsum(1)).sum(1)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_comes_out(factor: float) -> None:
    logits, labels = probabilities()
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.05)
    assert fit_temperature(logits[:0], labels[:0]) == 1.0


def test_few_rows_that_are_all_right_do_not_make_a_probability_of_one() -> None:
    """As sure as if one row more were wrong, and not as the sharpest temperature, 0.05, would have it."""
    logits, labels = np.tile([0.0, 3.0], (57, 1)), np.ones(57, dtype=np.int64)
    temperature = fit_temperature(logits, labels)
    assert 1 / (1 + np.exp(-3.0 / temperature)) == pytest.approx(58 / 59, abs=1e-3)


def test_scores_of_probabilities_equal_scikit_learn() -> None:
    logits, labels = probabilities(500)
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert negative_log_likelihood(chances, labels) == pytest.approx(log_loss(labels, chances))
    two = np.c_[chances[:, 0] + chances[:, 2], chances[:, 1]]
    assert brier_score(two, (labels == 1).astype(int)) == pytest.approx(2 * brier_score_loss(labels == 1, two[:, 1]))
    by_hand = np.square(chances - np.eye(3)[labels]).sum(1).mean()
    assert brier_score(chances, labels) == pytest.approx(by_hand)
    # Where a class was held for impossible the log loss is ours alone: scikit-learn stops at 36 nats.
    impossible, truth = np.array([[1.0 - 1e-30, 1e-30], [0.5, 0.5]]), np.array([1, 0])
    assert negative_log_likelihood(impossible, truth) == pytest.approx((30 * np.log(10) + np.log(2)) / 2)
    # A class that the probe does not know has probability 0, which counts as the smallest 32-bit float: 87 nats.
    unseen = Classified.of(np.array([[0.7, 0.3], [0.4, 0.6]]), np.array([2, 1]))
    floor = -np.log(np.finfo(np.float32).tiny)
    assert negative_log_likelihood(*unseen) == pytest.approx((floor - np.log(0.6)) / 2)
    assert brier_score(*unseen) == pytest.approx((0.49 + 0.09 + 1 + 0.16 + 0.16) / 2)
    assert classification_metrics(unseen)["accuracy"] == 0.5
    confidence = np.random.default_rng(1).uniform(0.5, 1, 30_000)
    honest = np.random.default_rng(2).random(30_000) < confidence
    assert adaptive_calibration_error(confidence, honest) < 0.015
    assert adaptive_calibration_error(confidence, np.ones(30_000, bool)) == pytest.approx(0.25, abs=0.01)
