"""Temperatures of few rows make nothing certain, and those of many rows are right."""

import numpy as np
import pytest
from scipy.special import softmax

from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.uncertainty.calibration import fit_temperature, negative_log_likelihood

DRAWS, NEW_ROWS = 200, 2000


def drawn(rng: np.random.Generator, rows: int, spread: float) -> tuple[Floats, Ints]:
    """Logits [N, 2] of a calibrated model, and labels that its probabilities have drawn."""
    logits = rng.normal(scale=spread, size=(rows, 2))
    labels = (rng.random(rows) < softmax(logits, axis=1)[:, 1]).astype(np.int64)
    return logits, labels


def cost(rng: np.random.Generator, rows: int, spread: float, factor: float) -> float:
    """Log loss on new rows beyond that of the true temperature, where the model's logits are too large by a factor."""
    logits, labels = drawn(rng, rows, spread)
    temperature = fit_temperature(factor * logits, labels)
    new, truth = drawn(rng, NEW_ROWS, spread)
    found, best = (negative_log_likelihood(softmax(z, axis=1), truth) for z in (factor * new / temperature, new))
    return found - best


@pytest.mark.parametrize("rows", [10, 20, 40, 100])
@pytest.mark.parametrize("spread", [2.0, 6.0, 12.0])
def test_of_few_rows_a_calibrated_model_hardly_becomes_surer(rows: int, spread: float) -> None:
    """The greatest likelihood cost up to 0.6 nats a row; an easy table often has no error among its validation rows.

    Means of 200 draws are at most 0.006 now, with standard errors of at most 0.001: the bound is beyond six of them.
    """
    rng = np.random.default_rng(rows)
    assert np.mean([cost(rng, rows, spread, 1.0) for _ in range(DRAWS)]) < 0.015


def test_of_rows_without_an_error_nothing_becomes_certain() -> None:
    logits = np.array([[6.0, 0.0], [0.0, 5.0]] * 20)
    labels = np.array([0, 1] * 20)
    assert 0.5 < fit_temperature(logits, labels) < 1  # it was 0.05, so that 0.997 became 1.000


@pytest.mark.parametrize("factor", [0.5, 2.0, 8.0])
def test_of_many_rows_the_temperature_is_found(factor: float) -> None:
    """Of 3,000 rows a temperature has a standard error of about 4%; bounds are six of them."""
    rng = np.random.default_rng(4)
    logits, labels = drawn(rng, 3000, 2.0)
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.25)


def test_an_overconfident_model_is_softened_by_few_rows() -> None:
    rng = np.random.default_rng(5)
    before = [cost(rng, 40, 2.0, 8.0) for _ in range(50)]
    assert np.mean(before) < 0.1  # without any temperature it is above 3
