"""What a comparison on test rows says."""

import pytest

from varjepa.tasks.tuning.compare import Comparison


def comparison(gain: float | None, low: float | None, high: float | None) -> Comparison:
    values = {"default": 0.5, "tuned": 0.4}
    return Comparison("log_loss", values, values, {}, 100, gain, low, high, optimism=None)


@pytest.mark.parametrize(
    ("span", "says"),
    [
        (
            (0.02, 0.01, 0.03),
            "the tuned job is better: its log loss is lower by 0.0200 (95% interval 0.0100 to 0.0300).",
        ),
        ((-0.02, -0.03, -0.01), "is WORSE: its log loss is higher by 0.0200 (95% interval 0.0100 to 0.0300)."),
        ((0.01, -0.01, 0.03), "no gain in log loss is shown: 0.0100 (95% interval -0.0100 to 0.0300)."),
        ((2e-6, 1e-6, 3e-6), "its log loss is lower by 2e-06 (95% interval 1e-06 to 3e-06)."),  # "better by 0.0000"
        ((0.0, 0.0, 0.0), "The job's own settings are the best on validation rows."),
        ((None, None, None), "No test row has a label"),
    ],
)
def test_the_sentence_follows_the_interval(span: tuple, says: str) -> None:
    assert says in comparison(*span).sentence
