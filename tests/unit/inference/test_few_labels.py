"""Few labelled rows: drawn fairly, divided fairly, and fitted by every method."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from varjepa.evaluation.label_curves import EMBEDDED, RAW
from varjepa.inference.few_labels import METHODS, draw_labelled, goodness_of, held_out, shares, spread_of


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12), st.data())
def test_shares_are_in_proportion_and_leave_no_class_out(sizes: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, sum(sizes)))
    drawn = shares(np.array(sizes), count)
    assert drawn.sum() == count
    assert ((drawn >= 0) & (drawn <= sizes)).all()
    if count >= len(sizes):
        assert (drawn >= 1).all()
    exact = np.array(sizes) * count / sum(sizes)
    large = exact >= 1
    assert (drawn[large] <= np.ceil(exact[large])).all()


@pytest.mark.parametrize("count", [2, 7, 50, 299, 300, 10_000])
@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_drawn_rows_are_distinct_and_repeatable(count: int, n_classes: int) -> None:
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, max(n_classes, 9), 300).astype(np.float64))
    drawn = draw_labelled(labels, count, n_classes=n_classes, seed=1)
    assert len(drawn) == len(set(drawn.tolist())) == min(count, 300)
    assert np.array_equal(drawn, draw_labelled(labels, count, n_classes=n_classes, seed=1))
    if 7 <= count < 300:
        assert not np.array_equal(drawn, draw_labelled(labels, count, n_classes=n_classes, seed=2))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.booleans())
def test_no_class_loses_its_last_row_to_those_that_choose(numbers: list[int], classes: bool) -> None:
    labels = torch.tensor(numbers, dtype=torch.float64)
    held = held_out(labels, n_classes=5 if classes else 0, seed=0)
    assert not held.all()
    if classes:
        assert set(labels[torch.from_numpy(~held)].tolist()) == set(labels.tolist())
    assert held.sum() <= max(1, len(numbers) / 2)


@pytest.mark.parametrize("rows", [10, 50, 1000])
def test_about_a_fifth_chooses(rows: int) -> None:
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 2, rows).astype(np.float64))
    for n_classes in (0, 2):
        assert held_out(labels, n_classes=n_classes, seed=0).mean() == pytest.approx(0.2, abs=0.1)


def test_methods_are_those_that_are_compared() -> None:
    assert tuple(METHODS) == (*RAW, *EMBEDDED)


def test_the_mean_goodness_is_the_accuracy_or_r2() -> None:
    from sklearn.metrics import accuracy_score, r2_score

    rng = np.random.default_rng(0)
    logits, classes = rng.normal(size=(50, 3)), rng.integers(0, 3, 50).astype(np.float64)
    assert goodness_of(logits, classes, 1.0).mean() == pytest.approx(accuracy_score(classes, logits.argmax(1)))
    values, truth = rng.normal(size=(50, 1)), rng.normal(size=50)
    assert goodness_of(values, truth, truth.var()).mean() == pytest.approx(r2_score(truth, values[:, 0]))


def test_equal_test_values_have_finite_goodness() -> None:
    """A rare amount that no test row has: the intervals over draws and rows could not be computed."""
    training, tests = np.repeat([0.0, 100.0], [198, 2]), np.zeros(50)
    values = np.full((50, 1), 1.0)
    goodness = goodness_of(values, tests, spread_of(tests, training))
    assert goodness == pytest.approx(1 - 1 / training.var())
    assert spread_of(tests, tests) == 1
