"""Comparison of uncertainty measures, and the choice among them."""

import numpy as np
import pytest

from varjepa.evaluation.uncertainty.compare_measures import (
    against_truth,
    choose,
    class_coverage,
    compare,
    family_level,
    resampled_aurc,
)
from varjepa.evaluation.uncertainty.selective import aurc, risk_coverage


def test_resampled_areas_are_those_of_sorted_resamples() -> None:
    rng = np.random.default_rng(0)
    uncertainty, error = rng.random(200), rng.random(200) < 0.3
    found = resampled_aurc({"max_probability": uncertainty}, error, seed=5, resamples=3)["max_probability"]
    rng = np.random.default_rng(5)
    picks = [rng.integers(200, size=200) for _ in range(3)]
    for area, rows in zip(found, picks, strict=True):
        # Copies of a row count as one tie of equal risk there, hence the tolerance.
        assert area == pytest.approx(aurc(risk_coverage(uncertainty[rows], error[rows].astype(float))), abs=0.01)


def ranked(error: np.ndarray, strength: float, seed: int) -> np.ndarray:
    return strength * error + np.random.default_rng(seed).normal(size=len(error))


def test_another_measure_ships_only_where_it_is_better_beyond_doubt() -> None:
    error = np.random.default_rng(0).random(1500) < 0.2
    good, weak = ranked(error, 2.5, 1), ranked(error, 1.0, 2)
    level = family_level(2)
    assert choose(compare({"max_probability": weak, "entropy": good}, error, level=level))[0] == "entropy"
    for other in (weak, ranked(error, 2.5, 3)):
        name, reason = choose(compare({"max_probability": good, "entropy": other}, error, level=level))
        assert name == "max_probability"
        assert "beyond doubt" in reason


def test_classes_that_are_kept_less_often_show() -> None:
    classes = np.array([0] * 500 + [1] * 500)
    uncertainty = np.r_[np.linspace(0, 0.5, 500), np.linspace(0.3, 1, 500)]
    coverage = class_coverage(uncertainty, classes, ["easy", "hard"])
    assert coverage["easy"] == 1.0
    assert coverage["hard"] == pytest.approx(0.6, abs=0.01)


def test_a_measure_of_the_truth_is_found_to_go_with_it() -> None:
    known = np.random.default_rng(0).random(1000)
    found = against_truth({"distance": known**3, "surprise": -known}, known)
    assert found["distance_spearman"] == pytest.approx(1)
    assert found["distance_auc"] == 1.0
    assert found["surprise_spearman"] == pytest.approx(-1)
    assert found["surprise_auc"] == 0.0
