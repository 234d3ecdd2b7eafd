"""How prediction sets are chosen, and what is promised of them."""

import numpy as np
import pytest

from varjepa.evaluation.uncertainty.prediction_sets import CLASS_ROWS, LabelledRows, choose_score, fit_sets
from varjepa.evaluation.uncertainty.set_metrics import set_metrics


def rows(counts: list[int], *, sure: float = 2.0, seed: int = 0) -> LabelledRows:
    rng = np.random.default_rng([seed, 70])
    labels = np.repeat(np.arange(len(counts)), counts)
    logits = sure * np.eye(len(counts))[labels] + rng.normal(size=(len(labels), len(counts)))
    return LabelledRows(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), labels)


@pytest.mark.parametrize(
    ("counts", "basis"),
    [
        ([100, 100], ("class", "class")),
        ([100, CLASS_ROWS - 1], ("class", "all")),
        ([100, 30, 30], ("class", "rare", "rare")),
        ([100, 100, 0], ("class", "class", "all")),
        ([5, 5], ("all", "all")),
    ],
)
def test_rare_classes_share_a_threshold(counts: list[int], basis: tuple[str, ...]) -> None:
    rule = fit_sets(rows([100] * len(counts)), rows(counts, seed=1), 0.9)
    assert rule.basis == basis
    assert rule.class_rows == tuple(counts)
    words = rule.promise([f"class {number}" for number in range(len(counts))])
    assert ("each class" in words) == (set(basis) == {"class"})


def test_without_enough_rows_every_set_holds_every_class() -> None:
    rule = fit_sets(rows([0, 0, 0]), rows([2, 2, 2]), 0.9)
    assert rule.thresholds == (None, None, None)
    assert rule.sets(rows([3, 3, 3]).probabilities).all()


def test_a_rule_survives_its_file() -> None:
    rule = fit_sets(rows([80, 80]), rows([80, 5]), 0.9)
    assert type(rule).model_validate_json(rule.model_dump_json()) == rule


@pytest.mark.parametrize("counts", [[300, 300], [10, 10, 10]])
def test_the_first_score_is_taken_where_there_is_no_choice(counts: list[int]) -> None:
    score, reason = choose_score(rows(counts), 0.9, 1, 0)
    assert score.name == "lac"
    assert "lac" in reason


def test_the_same_rows_choose_the_same_score() -> None:
    first, second = (choose_score(rows([200, 200, 200, 200], sure=1.0), 0.9, 1, 3) for _ in range(2))
    assert first == second


def test_rows_of_unseen_classes_widen_the_sets_of_rare_ones_and_count_as_misses() -> None:
    known = rows([40, 40, 40])
    labels = np.where(np.arange(120) % 12 == 0, 3, known.labels)
    plain, unseen = (
        fit_sets(rows([0, 0, 0]), calibration, 0.8) for calibration in (known, known._replace(labels=labels))
    )
    assert plain.basis == unseen.basis == ("rare", "rare", "rare")
    assert set_metrics(unseen.sets(known.probabilities), labels)["coverage"] <= 1 - 10 / 120


def test_rows_of_one_cluster_choose_no_score() -> None:
    together = rows([100, 100, 100])._replace(clusters=np.zeros(300, dtype=int))
    assert choose_score(together, 0.9, 300, seed=0)[1].endswith("too few to choose")
    assert not together.can_be_halved
