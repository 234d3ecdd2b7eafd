"""Metrics of prediction sets."""

import numpy as np
import pytest

from varjepa.evaluation.uncertainty.set_metrics import (
    class_groups,
    covered,
    group_coverage,
    set_metrics,
    size_stratified_coverage,
)


def test_coverage_and_size_are_counted_over_rows() -> None:
    sets = np.array([[True, False], [True, True], [False, True], [True, False]])
    metrics = set_metrics(sets, np.array([0, 1, 0, 2]))  # the last class is unknown to training
    assert metrics == {"coverage": 0.5, "size": 1.25, "sscs": 0.5}
    assert covered(sets, np.array([0, 1, 0, 2])).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("sizes", "shares", "expected"),
    [
        ({1: 100, 2: 100}, {1: 0.8, 2: 1.0}, 0.8),
        ({1: 100, 2: 100, 5: 10}, {1: 0.9, 2: 0.95, 5: 0.0}, 95 / 110),  # too few of size 5: joined with size 2
        ({1: 10, 2: 90}, {1: 0.0, 2: 1.0}, 0.9),  # too few of size 1: joined with size 2
        ({3: 10}, {3: 0.5}, 0.5),
    ],
)
def test_size_stratified_coverage_is_the_smallest_of_strata_with_enough_rows(
    sizes: dict, shares: dict, expected: float
) -> None:
    size = np.concatenate([np.full(rows, number) for number, rows in sizes.items()])
    right = np.concatenate([np.arange(rows) < round(shares[number] * rows) for number, rows in sizes.items()])
    assert size_stratified_coverage(size, right) == pytest.approx(expected)


def test_coverage_of_groups_leaves_out_those_without_rows() -> None:
    right, labels = np.array([True, False, True]), np.array([0, 0, 1])
    found = group_coverage(right, class_groups(labels, ("no", "yes", "maybe")))
    assert found == {"no": {"rows": 2.0, "coverage": 0.5}, "yes": {"rows": 1.0, "coverage": 1.0}}
