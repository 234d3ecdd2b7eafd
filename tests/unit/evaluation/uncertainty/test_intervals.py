"""Intervals: what they are made of, and whether they hold the truth as often as they say."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, f1_score

from varjepa.evaluation.uncertainty.intervals import (
    _scores,
    classification_intervals,
    regression_intervals,
    wilson,
)
from varjepa.evaluation.uncertainty.metrics import Classified


def table(rows: int, rng: np.random.Generator, classes: int = 3) -> Classified:
    """Rows of classes of different sizes; 80, 70, 60... percent of a class are predicted rightly."""
    labels = rng.choice(classes, rows, p=np.array([0.5, 0.3, 0.2]))
    right = rng.random(rows) < 0.8 - 0.1 * labels
    predicted = np.where(right, labels, (labels + 1) % classes)
    return Classified(np.eye(classes)[predicted], labels)


def test_scores_are_those_of_scikit_learn() -> None:
    result = table(200, np.random.default_rng(0))
    true, predicted = np.eye(4)[result.labels], np.eye(4)[result.predicted]  # a class that no row has
    found = _scores((true * predicted).sum(0)[None], true.sum(0)[None], predicted.sum(0)[None])
    assert found["balanced_accuracy"][0] == pytest.approx(balanced_accuracy_score(result.labels, result.predicted))
    for average in ("weighted", "macro"):
        expected = f1_score(result.labels, result.predicted, average=average)
        assert found[f"f1_{average}"][0] == pytest.approx(expected)


def test_shares_of_all_rows_and_of_none_have_an_interval() -> None:
    assert wilson(1.0, 10).low == pytest.approx(0.7225, abs=1e-4)  # of Wilson's formula, by hand
    assert wilson(1.0, 10).high == pytest.approx(1.0)
    assert wilson(0.0, 10).high == pytest.approx(1 - 0.7225, abs=1e-4)
    # Rounding must not leave the share outside: 10 rows, all right, ended at 0.9999999999999999.
    assert all(wilson(1.0, rows).high == 1.0 and wilson(0.0, rows).low == 0.0 for rows in range(1, 500))


@pytest.mark.parametrize(("right", "rows"), [(0, 7), (3, 7), (7, 7), (812, 1000)])
def test_wilsons_interval_equals_scipy_on_whole_numbers(right: int, rows: int) -> None:
    theirs = binomtest(right, rows).proportion_ci(0.9, method="wilson")
    assert wilson(right / rows, rows, 0.9) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_no_interval_has_no_width_because_all_rows_are_of_one_cluster() -> None:
    rng = np.random.default_rng(0)
    result, clusters = table(100, rng), np.zeros(100, dtype=int)
    low, high = classification_intervals(result, clusters=clusters)["accuracy"]
    assert high - low > 0.5
    assert list(classification_intervals(result, clusters=clusters)) == ["accuracy"]
    values = rng.normal(size=100)
    assert regression_intervals(values + rng.normal(size=100), values, clusters=clusters) == {}
    assert set(regression_intervals(values + rng.normal(size=100), values)) == {"rmse", "r2"}
