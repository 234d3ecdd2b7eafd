"""The area under the ROC is that of scikit-learn to the last bit."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from varjepa.evaluation.auroc import auroc


@pytest.mark.parametrize("values", [1, 2, 5, 1000])
def test_it_is_that_of_scikit_learn(values: int) -> None:
    """Scores of one value, with many ties, and with next to none."""
    rng = np.random.default_rng(values)
    for rows in (2, 3, 10, 97, 400):
        scores, positive = rng.integers(0, values, rows) / 7, rng.random(rows) < rng.uniform(0.1, 0.9)
        positive[:2] = True, False
        assert auroc(scores, positive) == roc_auc_score(positive, scores)
        assert auroc(positive + scores / 1e6, positive) == 1.0


def test_infinite_scores_have_an_order() -> None:
    scores = np.array([-np.inf, 0.0, 1.0, np.inf])
    assert auroc(scores, np.array([False, True, False, True])) == 0.75
    assert auroc(scores, np.array([True, False, True, False])) == 0.25


def test_one_kind_of_rows_has_no_area() -> None:
    assert np.isnan(auroc(np.arange(3.0), np.ones(3, dtype=bool)))
    assert np.isnan(auroc(np.arange(3.0), np.zeros(3, dtype=bool)))
