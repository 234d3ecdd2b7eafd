"""Accuracy over the number of labels: means, intervals, and where the embedding pays."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from varjepa.evaluation.benchmark.tables import Outcome
from varjepa.evaluation.label_curves import EMBEDDED, RAW, Gap, gaps, mean_difference, points, verdicts
from varjepa.evaluation.uncertainty.paired_bootstrap import PairedDifference


def test_a_single_draw_is_students_t_over_rows() -> None:
    values = np.random.default_rng(0).normal(0.1, 1, (1, 40))
    result, expected = mean_difference(values), ttest_1samp(values[0], 0)
    interval = expected.confidence_interval(0.95)
    assert result == pytest.approx((values.mean(), interval.low, interval.high, expected.pvalue))


def test_draws_without_any_spread_of_rows_are_students_t_over_draws() -> None:
    means = np.array([0.1, 0.3, 0.2, 0.25, 0.4])
    result, expected = mean_difference(np.repeat(means[:, None], 30, axis=1)), ttest_1samp(means, 0)
    interval = expected.confidence_interval(0.95)
    assert result == pytest.approx((0.25, interval.low, interval.high, expected.pvalue))


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (5, 1), (5, 50)])
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_of_equal_values_only_many_show_anything(shape: tuple[int, int], value: float) -> None:
    low = value if shape[1] > 1 else 0.0  # a single row says nothing, whatever the number of draws
    p = min(1.0, 2 * 0.5 ** shape[1]) if value else 1.0
    assert mean_difference(np.full(shape, value)) == (value, low, value, p)


def test_equal_values_of_one_cluster_show_nothing() -> None:
    assert mean_difference(np.full((3, 50), 0.5), np.zeros(50, dtype=int)) == (0.5, 0.0, 0.5, 1.0)


def test_rows_of_a_cluster_count_for_fewer() -> None:
    values = np.repeat(np.random.default_rng(0).normal(0, 1, (1, 20)), 10, axis=1)
    clusters = np.repeat(np.arange(20), 10)
    alone, together = mean_difference(values), mean_difference(values, clusters)
    assert together.difference == alone.difference
    assert together.high - together.low > 2 * (alone.high - alone.low)


def cell(**means: float) -> dict[str, np.ndarray]:
    """Goodness of 4 draws and 400 rows around some means, by method."""
    rng = np.random.default_rng(0)
    methods = {name: means.get(name.replace(" ", "_"), 0.5) for name in (*RAW, *EMBEDDED)}
    return {name: (rng.random((4, 400)) < mean).astype(np.float64) for name, mean in methods.items()}


@pytest.mark.parametrize(
    ("means", "words"),
    [
        ({"embedding_linear": 0.8}, "pays: embedding linear better"),
        ({"embedding_linear": 0.8, "trees_on_both": 0.8}, "pays: embedding linear and trees on both better"),
        ({"embedding_linear": 0.8, "raw_trees": 0.8}, "not shown"),
        ({"raw_trees": 0.8}, "does not pay"),
        ({"raw_linear": 0.8, "trees_on_both": 0.8}, "not shown"),
        ({}, "not shown"),
    ],
)
def test_verdicts_follow_the_pairs(means: dict[str, float], words: str) -> None:
    compared = gaps({("job", 50): cell(**means)}, {})
    assert len(compared) == 4
    assert verdicts(compared)["job", 50].startswith(words)


def test_p_values_of_all_cells_are_corrected_together() -> None:
    one = gaps({("a", 50): cell(embedding_linear=0.56)}, {})
    many = gaps({(name, 50): cell(embedding_linear=0.56) for name in "abcdefgh"}, {})
    assert all(more.adjusted >= less.adjusted for more, less in zip(many, one, strict=False))
    assert len(many) == 32


def test_points_have_one_line_per_method() -> None:
    found = points({("a", 50): cell(raw_trees=0.7), ("a", 9): cell()}, {"a": None})
    assert [(point.labels, point.method) for point in found] == [(n, m) for n in (50, 9) for m in (*RAW, *EMBEDDED)]
    assert all(point.low < point.mean < point.high for point in found)


@pytest.mark.parametrize("outcome", ["win", "tie", "loss"])
def test_every_number_of_labels_has_a_sentence(outcome: Outcome) -> None:
    difference = PairedDifference(0.1, 0.0, 0.2, 0.01)
    compared = [Gap("a", n, m, r, difference, 0.01, outcome) for n in (50, 200) for m in EMBEDDED for r in RAW]
    assert list(verdicts(compared)) == [("a", 50), ("a", 200)]
