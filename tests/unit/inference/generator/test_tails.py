"""Shares of reference values: exact where all ranks are kept, never too small, and kept small in size."""

import itertools

import numpy as np
import pytest

from varjepa.inference.generator.table_generator import MOST_PASSES, score_groups
from varjepa.inference.generator.tails import among_others, bounded, of_rows, tail, tail_points


def p_values(fresh: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return np.exp(-bounded(*tail(fresh, tail_points(reference), len(reference))))


@pytest.mark.parametrize("count", [1, 2, 30, 3000])
@pytest.mark.parametrize("tied", [False, True])
def test_a_share_is_never_too_small_and_close_to_the_exact_one(count: int, tied: bool) -> None:
    rng = np.random.default_rng(count)
    reference, fresh = (np.exp(rng.normal(size=n)) * 5 for n in (count, 500))
    if tied:
        reference, fresh = np.round(reference), np.round(fresh)
    exact = ((reference[None] >= fresh[:, None]).sum(1) + 1) / (count + 1)
    found = p_values(fresh, reference)
    assert (found >= exact - 1e-12).all()
    assert found.max() <= 1
    if not tied and count == 3000:
        assert (found <= 1.2 * exact + 2 / count).all()


def test_a_value_that_equals_all_others_up_to_rounding_is_not_rare() -> None:
    noise = np.random.default_rng(0).normal(size=(2, 1000)) * 1e-6
    assert (p_values(2.0 + noise[0], 2.0 + noise[1]) > 0.99).all()
    assert (among_others(2.0 + noise[1]) < 0.01).all()


def test_beyond_the_reference_a_share_stays_true_and_values_keep_their_order() -> None:
    reference = np.linspace(0, 5, 1250)
    found = p_values(np.array([4.0, 5.1, 6.0, 20.0, 1e3, 1e4]), reference)
    assert (np.diff(found) < 0).all()
    assert found[-1] == pytest.approx(1 / 1251, rel=1e-3)
    assert (found >= 1 / 1251).all()


def test_a_feature_without_a_reference_says_nothing() -> None:
    assert (p_values(np.array([-3.0, 50.0]), np.zeros(0)) == 1).all()
    assert among_others(np.zeros(0)).shape == (0,)
    assert among_others(np.zeros(1)).tolist() == [0.0]


def test_a_row_is_as_odd_as_its_oddest_cell_among_as_many() -> None:
    observed = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 1], [0, 0, 0], [1, 1, 1]], dtype=bool)
    nats = np.array([[3.0, 0.0, 1.0], [3.0, 9.0, 9.0], [800.0, 1.0, 1.0], [9.0, 9.0, 9.0], [0.0, 0.0, 0.0]])
    expected = [-np.log(1 - (1 - np.exp(-3.0)) ** 3), 3.0, 800 - np.log(3), 0.0, 0.0]
    np.testing.assert_allclose(of_rows(nats, observed), expected, atol=1e-12)
    near = np.array([[29.999], [30.001]]) * np.ones((2, 5))
    assert abs(float(np.diff(of_rows(near, np.ones((2, 5), dtype=bool)))[0]) - 0.002) < 1e-9


def test_scores_among_others_are_those_of_a_fresh_value() -> None:
    values = np.random.default_rng(3).gamma(1.0, 2.0, 80)
    for number, found in enumerate(among_others(values)):
        others = np.delete(values, number)
        nats, beyond = tail(values[number : number + 1], tail_points(others), len(others))
        # One value more is counted here, and a fresh value's score is lowered by two steps.
        assert nats[0] + beyond[0] <= max(found - np.log(81 / 80), 0.0) + 1e-9
        assert found - (nats[0] + beyond[0]) < 0.75


@pytest.mark.parametrize("n_features", [0, 1, 14, 16, 17, 54, 64, 784])
def test_every_cell_is_scored_in_each_grouping_and_no_pair_is_hidden_together_twice(n_features: int) -> None:
    groupings = score_groups(n_features, 2)
    assert groupings == score_groups(n_features, 2)
    assert len(groupings) == (2 if n_features > MOST_PASSES else 1)
    assert sum(len(groups) for groups in groupings) <= MOST_PASSES
    together: list[set[tuple[int, ...]]] = []
    for groups in groupings:
        assert sorted(cell for group in groups for cell in group) == list(range(n_features))
        together.append({pair for group in groups for pair in itertools.combinations(group, 2)})
    blind = len(set.intersection(*together)) / max(n_features * (n_features - 1) / 2, 1)
    assert blind <= (0 if n_features <= 64 else 1 / 64)


def test_groups_of_versions_before_are_by_position() -> None:
    assert score_groups(40, 0) == [[list(range(first, 40, 16)) for first in range(16)]]
    assert score_groups(40, 1) != score_groups(40, 0)
