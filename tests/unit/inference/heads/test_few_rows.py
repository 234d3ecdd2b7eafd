"""Heads that are fitted again without a fold know nothing of its labels."""

import numpy as np
import pytest
import torch

from tests.unit.inference.heads.test_heads import fitting_of
from varjepa.inference.heads.candidates import FOLDS, folds_of
from varjepa.inference.heads.few_rows import refitted_outputs


@pytest.mark.slow
@pytest.mark.parametrize("label", ["class", "value"])
@pytest.mark.parametrize(("kind", "features"), [("linear", "embedding"), ("linear", "raw"), ("boosted", "raw")])
def test_outputs_of_a_fold_depend_on_the_labels_of_the_others_alone(kind: str, features: str, label: str) -> None:
    fitting, _ = fitting_of("line", label=label, rows=150)
    rows, labels, n_classes = fitting.train.rows, fitting.train.labels, fitting.n_classes
    head, folds = fitting.head(kind, features), folds_of(len(labels), None, 0)
    before = refitted_outputs(head, rows, labels, folds, n_classes=n_classes, seed=0)
    assert before.shape == (150, max(n_classes, 1))
    held = torch.from_numpy(folds == FOLDS - 1)
    after = refitted_outputs(head, rows, torch.where(held, 1 - labels, labels), folds, n_classes=n_classes, seed=0)
    np.testing.assert_array_equal(after[held], before[held])
    assert np.abs(after[~held] - before[~held]).max() > 0.01


def test_trees_of_folds_are_opened_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has just grown them, and nobody else will read them; to check them takes longer than to use them."""
    fitting, _ = fitting_of("line", label="class", rows=150)
    rows, labels = fitting.train.rows, fitting.train.labels
    head, folds = fitting.head("boosted", "raw"), folds_of(len(labels), None, 0)
    assert head.booster.num_boosted_rounds() > 0
    checked = list[int]()
    # Whoever checked would be written down; nobody does, so nothing is left out.
    monkeypatch.setattr("varjepa.inference.heads.trees.require_trees", lambda _, outputs: checked.append(outputs))
    assert np.isfinite(refitted_outputs(head, rows, labels, folds, n_classes=2, seed=0)).all()
    assert not checked
