"""The benchmark's arithmetic, its settings and its corrupted tables."""

import numpy as np
import pytest

from varjepa.evaluation.benchmark.published import published_accuracies
from varjepa.evaluation.benchmark.tables import Duel, duels, table_rows, tally


def goodness(accuracy: float, rows: int = 4000, seeds: int = 3) -> list[np.ndarray]:
    """One split and one encoder; the first rows are right in all seeds."""
    return [np.tile(np.arange(rows) < accuracy * rows, (1, seeds, 1)).astype(float)]


def test_duels_tell_clear_differences_from_none() -> None:
    cells = {
        ("t", "var_t_jepa", "mlp"): goodness(0.9),
        ("t", "t_jepa", "mlp"): goodness(0.8),
        ("t", "raw", "mlp"): goodness(0.9),
        ("t", "raw", "xgboost"): goodness(0.5),
    }
    found = {(duel.features, duel.rival): duel for duel in duels(cells)}
    assert set(found) == {("var_t_jepa", "t_jepa"), ("var_t_jepa", "raw"), ("t_jepa", "raw")}
    better = found["var_t_jepa", "t_jepa"]
    assert better.difference.difference == pytest.approx(0.1)
    assert better.difference.low < 0.1 < better.difference.high
    assert better.outcome == "win"
    assert (found["var_t_jepa", "raw"].outcome, found["t_jepa", "raw"].outcome) == ("tie", "loss")
    counts = tally(duels(cells))
    assert counts["var_t_jepa", "raw"] == {"win": 0, "tie": 1, "loss": 0, "at or above": 1}
    assert counts["t_jepa", "raw"] == {"win": 0, "tie": 0, "loss": 1, "at or above": 0}


def test_duels_are_judged_together() -> None:
    """16 of 18 rows on which the sets differ: p is 0.0013, enough for 30 duels and too much for 54."""

    def outcomes(others: int) -> list[Duel]:
        first, second = np.zeros((1, 500)), np.zeros((1, 500))
        first[0, :16] = second[0, 16:18] = 1
        cells = {("t", "t_jepa", "mlp"): [first[None]], ("t", "raw", "mlp"): [second[None]]}
        equal = {("t", name, f"other {k}"): [first[None]] for k in range(others) for name in ("t_jepa", "raw")}
        return duels(cells | equal)

    few, many = outcomes(29), outcomes(53)
    assert [duel.outcome for duel in few] == ["win"] + 29 * ["tie"]
    assert {duel.outcome for duel in many} == {"tie"}
    assert (many[0].difference.p, many[0].difference) == (pytest.approx(0.0013, abs=1e-4), few[0].difference)
    assert many[0].adjusted == pytest.approx(54 * many[0].difference.p)
    assert many[0].difference.low > 0
    assert duels({}) == []


def test_intervals_of_a_data_set_depend_on_its_own_share_of_test_rows() -> None:
    rng = np.random.default_rng(0)
    first, second = ([(rng.random((2, 1, 200)) < share).astype(float) for _ in range(3)] for share in (0.8, 0.7))
    sets = {"few": 0.1, "many": 1.0}
    cells = {(name, *key): rows for name in sets for key, rows in
             {("t_jepa", "mlp"): first, ("raw", "mlp"): second}.items()}  # fmt: skip
    few, many = (duel.difference for duel in duels(cells, ratios=sets))
    assert few.difference == many.difference
    # By the factor of Nadeau and Bengio: 1 over the number of splits, plus the ratio.
    assert (many.high - many.low) / (few.high - few.low) == pytest.approx(((1 / 3 + 1) / (1 / 3 + 0.1)) ** 0.5)


def test_rows_of_the_table_hold_mean_deviation_and_published_figure() -> None:
    metrics = {("adult", "raw", "mlp"): {"accuracy": [0.8, 0.9], "f1_macro": [0.7]}}
    first, second = table_rows(metrics, published_accuracies())
    assert (first.mean, first.sd, first.seeds) == (pytest.approx(0.85), pytest.approx(0.0707, abs=1e-4), 2)
    assert first.published == 0.849
    assert (second.sd, second.published) == (None, None)


def test_runs_without_a_value_do_not_count_for_a_metric() -> None:
    """Without errors, how well they are found is undefined."""
    nan = float("nan")
    metrics = {("easy", "raw", "mlp"): {"accuracy": [1.0, 0.9, 0.8], "a": [nan, 0.6, 0.8], "b": [nan] * 3}}
    accuracy, found = table_rows(metrics, {})
    assert (accuracy.metric, accuracy.seeds) == ("accuracy", 3)
    assert (found.metric, found.mean, found.sd, found.seeds) == ("a", 0.7, pytest.approx(0.1414, abs=1e-4), 2)
