"""Conformal thresholds, maps and sets of any rows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from varjepa.evaluation.uncertainty.class_scores import CANDIDATES
from varjepa.evaluation.uncertainty.conformal import conformal_threshold, fewest_rows
from varjepa.evaluation.uncertainty.prediction_sets import LabelledRows, fit_sets
from varjepa.evaluation.uncertainty.predictive import RowQuantiles

levels = st.floats(0.05, 0.99)
numbers = st.floats(-1e6, 1e6)


@given(st.lists(numbers, max_size=60), levels, st.integers(1, 5))
def test_a_threshold_is_one_of_the_scores_with_as_few_above_it_as_allowed(
    values: list[float], level: float, largest: int
) -> None:
    scores = np.array(values)
    threshold = conformal_threshold(scores, level, largest)
    if np.isinf(threshold):
        assert len(scores) < fewest_rows(level, largest) + 1
        return
    assert threshold in scores
    allowed = (1 - level) * len(scores) - level * largest + 1e-6
    assert (scores > threshold).sum() <= allowed
    assert (scores >= threshold).sum() > allowed - 1  # and a lower one would leave too many


@given(st.lists(numbers, min_size=20, max_size=60), st.integers(1, 3))
def test_thresholds_rise_with_level_and_cluster_size(values: list[float], largest: int) -> None:
    scores = np.array(values)
    rising = [conformal_threshold(scores, level, largest) for level in (0.3, 0.6, 0.9)]
    assert rising == sorted(rising)
    assert conformal_threshold(scores, 0.6, largest) <= conformal_threshold(scores, 0.6, largest + 1)


@settings(max_examples=60)
@given(arrays(np.float64, (7, 5), elements=st.floats(-1e3, 1e3)), arrays(np.float64, 7, elements=st.floats(-2e3, 2e3)))
def test_maps_and_their_inverses_agree(quantiles: np.ndarray, labels: np.ndarray) -> None:
    maps = RowQuantiles.of(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), quantiles, 1e-3)
    assert (np.diff(maps.values, axis=1) > 0).all()
    places = maps.standardise(labels)
    back = np.array([maps.at(places[row : row + 1])[row, 0] for row in range(7)])
    assert np.allclose(back, labels, atol=1e-6, rtol=1e-9)


@settings(max_examples=60)
@given(st.integers(2, 6), st.integers(0, 200), st.integers(0, 10**6))
def test_sets_of_any_rows_are_never_empty_and_do_not_depend_on_the_rows_beside_them(
    classes: int, rows: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)

    def drawn() -> LabelledRows:
        # Some rows have a class that training has not seen, some share a cluster.
        return LabelledRows(
            rng.dirichlet(np.ones(classes), size=rows), rng.integers(classes + 1, size=rows),
            rng.integers(max(rows // 2, 1), size=rows),
        )  # fmt: skip

    rule, new = fit_sets(drawn(), drawn(), 0.9), rng.dirichlet(np.ones(classes), size=20)
    sets = rule.sets(new)
    assert sets.any(1).all()
    assert (sets[:5] == rule.sets(new[:5])).all()
    assert len(rule.thresholds) == len(rule.basis) == len(rule.class_rows) == classes
    assert rule.promise([str(number) for number in range(classes)])


@given(arrays(np.float64, (9, 4), elements=st.floats(0.001, 1)))
def test_a_more_probable_class_never_has_a_higher_score(weights: np.ndarray) -> None:
    probabilities = weights / weights.sum(1, keepdims=True)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    for score in CANDIDATES:
        ranked = np.take_along_axis(score(probabilities), order, axis=1)
        assert (np.diff(ranked, axis=1) >= -1e-12).all()
