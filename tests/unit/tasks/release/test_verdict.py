"""Words for figures: better and worse are only said where the rows can tell."""

import pytest

from varjepa.evaluation.bootstrap import Interval
from varjepa.tasks.release.verdict import verdicts


@pytest.mark.parametrize(
    ("rival", "word"),
    [(0.79, "better than"), (0.8, "about as good as"), (0.9, "about as good as"), (0.91, "worse than")],
)
@pytest.mark.parametrize("name", ["accuracy", "r2"])
def test_a_rival_inside_of_the_interval_is_about_as_good(name: str, rival: float, word: str) -> None:
    metrics = {f"head/{name}": 0.85, f"boosted/{name}": rival}
    (sentence,) = verdicts(metrics, {f"head/{name}": Interval(0.8, 0.9)})
    assert f"0.8500: {word} boosted trees on raw columns ({rival:.4f})." in sentence


def test_the_embedding_is_judged_by_itself_and_the_head_comes_first() -> None:
    metrics = {"head/accuracy": 0.9, "probe/accuracy": 0.7, "raw/accuracy": 0.8}
    first, second = verdicts(metrics, {name: Interval(value - 0.02, value + 0.02) for name, value in metrics.items()})
    assert "The predictions" in first
    assert "better than a linear model on raw columns" in first
    assert "on the embedding alone has accuracy 0.7000: worse than a linear model on raw columns (0.8000)." in second


def test_without_a_label_nothing_is_called_good() -> None:
    (sentence,) = verdicts({"elbo/test": -1.0}, {})
    assert "no label" in sentence


@pytest.mark.parametrize(
    ("tested", "word"), [("which may be chance (p 0.09)", "about as good as"), ("which is beyond chance", "worse than")]
)
def test_the_paired_test_outranks_intervals(tested: str, word: str) -> None:
    metrics = {"head/accuracy": 0.8, "boosted/accuracy": 0.9, "raw/accuracy": 0.5}
    (sentence,) = verdicts(metrics, {"head/accuracy": Interval(0.79, 0.81)}, f"boosted trees have 0.9, {tested}")
    assert f"{word} boosted trees on raw columns (0.9000), better than a linear model" in sentence


def test_a_model_inside_of_the_interval_of_a_rival_is_about_as_good() -> None:
    intervals = {"head/accuracy": Interval(0.79, 0.81), "raw/accuracy": Interval(0.75, 0.95)}
    (sentence,) = verdicts({"head/accuracy": 0.8, "raw/accuracy": 0.85}, intervals)
    assert "about as good as a linear model" in sentence


def test_rows_too_few_for_any_interval_cannot_tell() -> None:
    (sentence,) = verdicts({"head/r2": 0.9, "raw/r2": 0.2}, {"interval/coverage": Interval(0.1, 0.99)})
    assert "about as good as a linear model" in sentence


@pytest.mark.parametrize(
    ("metrics", "low", "guessed"),
    [
        ({"head/accuracy": 0.96, "guess/accuracy": 0.95}, 0.94, True),
        ({"head/accuracy": 0.96, "guess/accuracy": 0.95}, 0.955, False),
        ({"head/r2": 0.01}, -0.02, True),
        ({"head/r2": 0.3}, 0.2, False),
        ({"head/accuracy": 0.5}, 0.4, False),  # of a run that was made before there was the figure
    ],
)
def test_what_is_no_better_than_a_guess_is_said_to_be(metrics: dict[str, float], low: float, guessed: bool) -> None:
    """An accuracy of 0.96 looks wonderful where 95% of the rows have one class."""
    own = next(name for name in metrics if name.startswith("head/"))
    sentences = verdicts(metrics, {own: Interval(low, 0.99)})
    assert any("not shown to be better than always naming" in sentence for sentence in sentences) == guessed
    assert len(sentences) == 1 + guessed


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        ("linear on raw", " and come from a linear model on raw columns: better than boosted trees on raw columns"),
        ("boosted on raw", ": better than boosted trees on raw columns (0.6000), about as good as a linear model on"),
        ("stacked on both", ": better than boosted trees on raw columns (0.6000), about as good as a linear model on"),
    ],
)  # fmt: skip
def test_what_ships_is_not_compared_with_itself(head: str, shown: str) -> None:
    metrics = {"head/r2": 0.8, "raw/r2": 0.8, "boosted/r2": 0.6}
    (sentence,) = verdicts(metrics, {"head/r2": Interval(0.75, 0.85)}, head=head)
    assert sentence.startswith(f"The predictions have R2 0.8000{shown}")
