"""Heads that are fitted again without a fold know nothing of its labels."""

import numpy as np
import pytest
import torch

from tests.unit.inference.heads.test_heads import fitting_of
from varjepa.config.heads import FEATURES, HEAD
from varjepa.evaluation.arrays import Floats
from varjepa.inference.heads.candidates import Fitting
from varjepa.inference.heads.held_out import held_out_outputs
from varjepa.inference.heads.labelled import FOLDS, HeadData, folds_of

KINDS = [("linear", "embedding"), ("linear", "raw"), ("boosted", "raw"), ("forest", "raw")]


def outputs_of(fitting: Fitting, kind: HEAD, features: FEATURES, train: HeadData) -> Floats:
    """Of a head that was fitted on the rows of `fitting`, for the same rows with some labels."""
    folds = folds_of(len(train.labels), None, 0)
    return held_out_outputs(fitting.head(kind, features), train, folds, n_classes=fitting.n_classes, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("label", ["class", "value"])
@pytest.mark.parametrize(("kind", "features"), KINDS)
def test_outputs_of_a_fold_depend_on_the_labels_of_the_others_alone(kind: HEAD, features: FEATURES, label: str) -> None:
    fitting, _ = fitting_of("line", label=label, rows=150)
    train, labels = fitting.train, fitting.train.labels
    before = outputs_of(fitting, kind, features, train)
    assert before.shape == (150, max(fitting.n_classes, 1))
    held = torch.from_numpy(folds_of(len(labels), None, 0) == FOLDS - 1)
    after = outputs_of(fitting, kind, features, train._replace(labels=torch.where(held, 1 - labels, labels)))
    np.testing.assert_array_equal(after[held], before[held])
    assert np.abs(after[~held] - before[~held]).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("label", ["class", "value"])
def test_a_network_says_what_it_says_of_rows_that_it_left_out(label: str) -> None:
    fitting, _ = fitting_of("line", label=label, rows=150)
    each, folds = fitting.head("mlp", "both").each(fitting.train.rows).numpy(), folds_of(150, None, 0)
    outputs = outputs_of(fitting, "mlp", "both", fitting.train)
    for fold in range(FOLDS):
        np.testing.assert_array_equal(outputs[folds == fold], each[fold][folds == fold])


def test_trees_of_folds_are_opened_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has just grown them, and nobody else will read them; to check them takes longer than to use them."""
    fitting, _ = fitting_of("line", label="class", rows=150)
    assert fitting.head("boosted", "raw").booster.num_boosted_rounds() > 0
    checked = list[int]()
    # Whoever checked would be written down; nobody does, so nothing is left out.
    monkeypatch.setattr("varjepa.inference.heads.trees.require_trees", lambda _, outputs: checked.append(outputs))
    assert np.isfinite(outputs_of(fitting, "boosted", "raw", fitting.train)).all()
    assert not checked
