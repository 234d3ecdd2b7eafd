"""Comparison of uncertainty measures, and the choice among them."""

import numpy as np
import pytest

from varjepa.evaluation.uncertainty.compare_measures import (
    against_truth,
    choose,
    class_coverage,
    resampled_aurc,
)
from varjepa.evaluation.uncertainty.selective import aurc, risk_coverage


@pytest.mark.parametrize("values", [200, 7, 1])
@pytest.mark.parametrize("clustered", [False, True])
def test_resampled_areas_are_those_of_sorted_resamples(values: int, clustered: bool) -> None:
    """Also where rows tie, by few different values of the measure, and where whole clusters are drawn."""
    rng = np.random.default_rng(0)
    uncertainty, error = rng.integers(values, size=200) / values, rng.random(200) < 0.3
    clusters = np.arange(200) // 4 if clustered else None
    found = resampled_aurc(
        {"max_probability": uncertainty}, error, seed=5, resamples=3, clusters=clusters
    )["max_probability"]  # fmt: skip
    rng, rows = np.random.default_rng(5), np.arange(200).reshape(50, 4) if clustered else np.arange(200)[:, None]
    for area in found:
        picked = rows[rng.integers(len(rows), size=len(rows))].ravel()
        curve = risk_coverage(uncertainty[picked], error[picked].astype(float))
        assert area == pytest.approx(aurc(curve), abs=1e-12)


def test_the_order_of_rows_says_nothing() -> None:
    """A measure that is the same for all rows ranks nothing, even in a file that has its right rows first."""
    error = np.arange(1000) >= 800
    random = np.random.default_rng(0)
    measures = {"max_probability": random.random(1000), "entropy": np.zeros(1000)}
    ordered = resampled_aurc(measures, error, seed=1, resamples=50)
    order = random.permutation(1000)
    shuffled = resampled_aurc(measures, error[order], seed=1, resamples=50)
    assert np.mean(ordered["entropy"]) == pytest.approx(0.2, abs=0.01)
    assert np.mean(shuffled["entropy"]) == pytest.approx(0.2, abs=0.01)
    assert choose(measures, error)[0] == "max_probability"


def ranked(error: np.ndarray, strength: float, seed: int) -> np.ndarray:
    return strength * error + np.random.default_rng(seed).normal(size=len(error))


def test_another_measure_ships_only_where_it_is_better_beyond_doubt() -> None:
    error = np.random.default_rng(0).random(1500) < 0.2
    good, weak = ranked(error, 2.5, 1), ranked(error, 1.0, 2)
    assert choose({"max_probability": weak, "entropy": good}, error)[0] == "entropy"
    for other in (weak, ranked(error, 2.5, 3)):
        name, reason = choose({"max_probability": good, "entropy": other}, error)
        assert name == "max_probability"
        assert "beyond doubt" in reason


def test_classes_that_are_kept_less_often_show() -> None:
    classes = np.array([0] * 500 + [1] * 500)
    uncertainty = np.r_[np.linspace(0, 0.5, 500), np.linspace(0.3, 1, 500)]
    coverage = class_coverage(uncertainty, classes, ["easy", "hard"])
    assert coverage["easy"] == 1.0
    assert coverage["hard"] == pytest.approx(0.6, abs=0.01)
    assert class_coverage(np.zeros(1000), classes, ["easy", "hard"]) == {"easy": 0.8, "hard": 0.8}


def test_a_measure_of_the_truth_is_found_to_go_with_it() -> None:
    known = np.random.default_rng(0).random(1000)
    found = against_truth({"distance": known**3, "surprise": -known}, known)
    assert found["distance_spearman"] == pytest.approx(1)
    assert found["distance_auc"] == 1.0
    assert found["surprise_spearman"] == pytest.approx(-1)
    assert found["surprise_auc"] == 0.0


def test_rows_of_few_clusters_choose_no_measure() -> None:
    """All of them may rank well by chance, and then so do all resamples of them."""
    rng = np.random.default_rng(0)
    error = rng.random(300) < 0.3
    measures = {"max_probability": rng.random(300), "entropy": error + rng.random(300)}
    names = {count: choose(measures, error, clusters=np.arange(300) % count)[0] for count in (1, 3, 30)}
    assert names == {1: "max_probability", 3: "max_probability", 30: "entropy"}
