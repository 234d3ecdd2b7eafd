"""Accuracy without labels: the interval holds on drifted batches, and is no wider than it must be without drift."""

import numpy as np
import pytest
from scipy.special import ndtr

from varjepa.evaluation.accuracy_estimate import (
    FEWEST,
    AccuracyReference,
    DamagedRows,
    estimate_accuracy,
    fit_accuracy_reference,
)
from varjepa.evaluation.drift.dependence import Clustering

WORLDS = 40


def world(seed: int, rows: int, lean: float, *, wrong: float) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Confidence, correctness and statistics of rows whose first statistic leans.

    The model is `wrong` about the rows of large values: there it is less often right than it says.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(loc=[lean, 0, 0], size=(rows, 3))
    confidence = 0.5 + 0.5 / (1 + np.exp(-(x[:, 1] + 0.5)))
    chance = np.clip(confidence - wrong * np.tanh(x[:, 0]), 0, 1)
    return confidence, rng.random(rows) < chance, {f"latent_{k}": x[:, k] for k in range(3)}


def reference_of(seed: int, wrong: float) -> AccuracyReference:
    found = fit_accuracy_reference(*world(seed, 3000, 0.0, wrong=wrong))
    assert found is not None
    return found


@pytest.mark.parametrize("wrong", [0.0, 0.1])
def test_the_interval_holds_on_drifted_batches(wrong: float) -> None:
    """90% is promised; of 200 batches fewer than 168 hold with a probability of 0.5% if exactly 90% do."""
    held, wide = 0, []
    for seed in range(WORLDS):
        reference = reference_of(seed, wrong)
        for lean in (0.0, 0.5, 1.0, 1.5, -1.0):
            confidence, correct, statistics = world(1000 + 10 * seed + int(10 * lean), 1000, lean, wrong=wrong)
            found = estimate_accuracy(confidence, statistics, reference)
            held += found.low <= correct.mean() <= found.high
            wide.append((lean, found.high - found.low))
    assert held >= 168
    still = np.mean([width for lean, width in wide if lean == 0])
    assert still < 0.06  # twice 1.645 standard errors of 1,000 rows are 0.045
    assert np.mean([width for lean, width in wide if lean == 1.5]) > still


def test_a_miscalibrated_model_is_corrected() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.7, 1.0, 4000)
    correct = rng.random(4000) < confidence - 0.15
    reference = fit_accuracy_reference(confidence[:2000], correct[:2000], {"x": rng.normal(size=2000)})
    assert reference is not None
    found = estimate_accuracy(confidence[2000:], {"x": rng.normal(size=2000)}, reference)
    assert found.accuracy == pytest.approx(0.7, abs=0.02)
    assert found.low < correct[2000:].mean() < found.high


def test_few_labels_give_no_reference_and_unknown_statistics_are_left_out() -> None:
    confidence, correct, statistics = world(0, FEWEST - 1, 0.0, wrong=0.0)
    assert fit_accuracy_reference(confidence, correct, statistics) is None
    reference = reference_of(0, 0.0)
    assert estimate_accuracy(confidence, {"new": confidence}, reference).shift == 0.0
    again = AccuracyReference.model_validate_json(reference.model_dump_json())
    assert again == reference


def classes_world(
    seed: int, rows: int, share: float
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Rows of two classes; the model is sure of both, and right in 95% and 65% of their rows."""
    rng = np.random.default_rng(seed)
    classes = (rng.random(rows) < share).astype(int)
    x = rng.normal(size=(rows, 2)) + classes[:, None]
    confidence = rng.uniform(0.8, 0.95, rows)
    return confidence, rng.random(rows) < np.where(classes, 0.65, 0.95), {"a": x[:, 0], "b": x[:, 1]}, classes


def test_the_interval_allows_for_other_shares_of_the_classes() -> None:
    """90% is promised; of 160 batches fewer than 133 hold with a probability of 0.5% if exactly 90% do."""
    held = {"with classes": 0, "without": 0}
    for seed in range(WORLDS):
        confidence, correct, statistics, classes = classes_world(seed, 3000, 0.3)
        for name, known in (("with classes", classes), ("without", None)):
            reference = fit_accuracy_reference(confidence, correct, statistics, classes=known)
            assert reference is not None
            for number, share in enumerate((0.12, 0.2, 0.45, 0.56)):
                new, right, moved, _ = classes_world(5000 + 10 * seed + number, 1000, share)
                found = estimate_accuracy(new, moved, reference)
                held[name] += found.low <= right.mean() <= found.high
    assert held["with classes"] >= 133


def damaged_world(seed: int, rows: int, harm: float) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Rows whose accuracy falls with the harm, which the model does not notice; a statistic does."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.8, 1.0, rows)
    return confidence, rng.random(rows) < confidence - 0.3 * harm, {"a": rng.normal(size=rows) + 2 * harm}


def test_the_interval_allows_for_the_damage_that_it_has_seen() -> None:
    """90% is promised; of 160 batches fewer than 133 hold with a probability of 0.5% if exactly 90% do."""
    held, blind = 0, 0
    for seed in range(WORLDS):
        known = damaged_world(seed, 3000, 0.0)
        rng = np.random.default_rng([seed, 1])
        damaged = []
        for batch in range(9):
            places = rng.choice(3000, size=250, replace=False)
            damaged.append(DamagedRows(places, *damaged_world(100 * seed + batch, 250, rng.uniform(0.2, 1.0))))
        references = [fit_accuracy_reference(*known, damaged=batches) for batches in (damaged, ())]
        for number, harm in enumerate((0.2, 0.4, 0.6, 0.8)):
            confidence, correct, statistics = damaged_world(9000 + 10 * seed + number, 500, harm)
            for place, reference in enumerate(references):
                assert reference is not None
                found = estimate_accuracy(confidence, statistics, reference)
                holds = found.low <= correct.mean() <= found.high
                held, blind = held + (holds and place == 0), blind + (holds and place == 1)
    assert held >= 133
    assert blind < held


def customers(seed: int, count: int, rows: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Rows of customers, each of whom is as surely known and as often right as half of the variance says."""
    rng, numbers = np.random.default_rng([seed, 71]), np.repeat(np.arange(count), rows)

    def mixed() -> np.ndarray:
        return ndtr((rng.normal(size=count)[numbers] + rng.normal(size=count * rows)) / 2**0.5)

    confidence = 0.5 + 0.5 * mixed()
    return confidence, mixed() < confidence, {"probability": confidence, "x": mixed()}, numbers.astype(np.uint64)


def test_intervals_allow_for_rows_of_one_customer() -> None:
    held = []
    for seed in range(20):
        *known, numbers = customers(seed, 100, 20)
        reference = fit_accuracy_reference(*known, clusters=Clustering.of(numbers))
        assert reference is not None
        for batch in range(3):
            confidence, correct, statistics, _ = customers(1000 + 3 * seed + batch, 25, 20)
            found = estimate_accuracy(confidence, statistics, reference, cluster_rows=20.0)
            held.append(found.low <= correct.mean() <= found.high)
            assert (
                estimate_accuracy(confidence, statistics, reference) == found
            )  # they come like those of the reference
    assert np.mean(held) > 0.8  # of 90%; 60% where each row counts as independent
