"""Intervals cover the truth as often as stated."""

import numpy as np

from tests.unit.evaluation.uncertainty.test_intervals import table
from varjepa.evaluation.uncertainty.intervals import classification_intervals, regression_intervals


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    """400 tables of 300 rows; with 95% the count has a standard deviation of 4.4, four of which are 17."""
    rng = np.random.default_rng(1)
    truth = {"accuracy": 0.5 * 0.8 + 0.3 * 0.7 + 0.2 * 0.6, "balanced_accuracy": 0.7}
    held = dict.fromkeys(truth, 0)
    for number in range(400):
        found = classification_intervals(table(300, rng), resamples=200, seed=number)
        for name, value in truth.items():
            held[name] += found[name].low <= value <= found[name].high
    assert min(held.values()) >= 380 - 18, held
    assert max(held.values()) <= 380 + 18, held


def test_intervals_of_numbers_hold_the_truth_too() -> None:
    rng, held = np.random.default_rng(2), {"rmse": 0, "r2": 0}
    for number in range(200):
        values = rng.normal(0, 2, 400)
        found = regression_intervals(values + rng.normal(0, 1, 400), values, resamples=200, seed=number)
        held["rmse"] += found["rmse"].low <= 1 <= found["rmse"].high
        held["r2"] += found["r2"].low <= 0.75 <= found["r2"].high
    assert min(held.values()) >= 190 - 13, held
