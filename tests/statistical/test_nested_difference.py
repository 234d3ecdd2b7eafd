"""Feature sets that are equally good are rarely told apart, over splits, encoders and rows; better ones are found."""

import numpy as np
import pytest
from scipy.stats import binom

from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.benchmark.tables import FALSE_OUTCOMES, USUAL_RATIO, duels
from varjepa.evaluation.uncertainty.nested_difference import nested_difference
from varjepa.evaluation.uncertainty.paired_bootstrap import paired_bootstrap

REPORTS, DUELS, SPLITS, ENCODERS, ROWS = 120, 20, 3, 5, 200


def accuracies(rng: np.random.Generator, of_split: float, of_encoder: float, splits: int) -> Floats:
    """True accuracies [J, E] around 0.8: training rows and seeds make some sets of weights better than others.

    Splits share training rows, so that a part of their effect is common to all of them.
    """
    share = USUAL_RATIO / (1 + USUAL_RATIO)
    common = np.sqrt(share) * rng.normal() + np.sqrt(1 - share) * rng.normal(size=splits)
    return 0.8 + of_split * common[:, None] + of_encoder * rng.normal(size=(splits, ENCODERS))


def answers(rng: np.random.Generator, accuracy: Floats) -> list[Floats]:
    """Right and wrong answers, per split [E, 1, N]."""
    return [(rng.random((ENCODERS, 1, ROWS)) < of_split[:, None, None]).astype(np.float64) for of_split in accuracy]


EFFECTS = [(3, 0.0, 0.0), (3, 0.0, 0.03), (3, 0.02, 0.02), (3, 0.03, 0.0), (3, 0.06, 0.0), (3, 0.12, 0.0),
           (2, 0.015, 0.02), (1, 0.0, 0.03)]  # fmt: skip


@pytest.mark.parametrize(("splits", "of_split", "of_encoder"), EFFECTS)
def test_reports_of_equal_sets_rarely_call_a_winner(splits: int, of_split: float, of_encoder: float) -> None:
    """120 reports of 20 null duels: in at most 5% of them is any duel won or lost.

    The standard error of a difference over test rows is 0.018; effects of splits on it have deviations up to 0.17.
    The bound is the 0.9999 quantile of the number of such reports at 5%: a false alarm has a chance of 1e-4 per case.
    """
    rng, wrong = np.random.default_rng(11), 0
    for _ in range(REPORTS):
        cells = {
            ("t", features, f"p{duel}"): answers(rng, accuracies(rng, of_split, of_encoder, splits))
            for duel in range(DUELS) for features in ("t_jepa", "raw")
        }  # fmt: skip
        wrong += any(duel.outcome != "tie" for duel in duels(cells))
    assert wrong <= binom.ppf(0.9999, REPORTS, FALSE_OUTCOMES)


def test_intervals_hold_the_true_difference() -> None:
    rng, inside = np.random.default_rng(3), 0
    for _ in range(300):
        first, second = (answers(rng, accuracies(rng, 0.02, 0.02, SPLITS) + more) for more in (0.03, 0.0))
        found = nested_difference(first, second, ratio=USUAL_RATIO)
        inside += found.low <= 0.03 <= found.high
    assert inside >= binom.ppf(1e-4, 300, 0.95)


def test_clear_differences_are_found_among_many() -> None:
    rng, better = np.random.default_rng(5), 3
    cells = {}
    for duel in range(DUELS):
        lead = 0.15 if duel < better else 0.0
        for features, more in (("t_jepa", lead), ("raw", 0.0)):
            cells["t", features, f"p{duel}"] = answers(rng, accuracies(rng, 0.005, 0.01, SPLITS) + more)
    outcomes = [duel.outcome for duel in duels(cells)]
    assert outcomes == ["win"] * better + ["tie"] * (DUELS - better)


def test_one_split_with_one_encoder_is_compared_by_its_rows_alone() -> None:
    rng = np.random.default_rng(0)
    first, second = ((rng.random((2, 300)) < share).astype(np.float64) for share in (0.9, 0.8))
    assert nested_difference([first[None]], [second[None]], ratio=USUAL_RATIO) == paired_bootstrap(first, second)


def test_equal_answers_differ_by_nothing() -> None:
    """Not even where splits matter to others."""
    same = [np.ones((2, 1, 30))] * SPLITS
    assert nested_difference(same, same, ratio=USUAL_RATIO, between=0.1) == (0.0, 0.0, 0.0, 1.0)
    assert nested_difference(same, same, ratio=USUAL_RATIO) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(("splits", "encoders"), [(1, 1), (1, 2), (3, 1)])
def test_rows_of_a_customer_do_not_count_as_so_many(splits: int, encoders: int) -> None:
    """Equal sets that are each right on all ten rows of a customer, or wrong: 300 duels, at most 5% of them called."""
    rng, clusters, called = np.random.default_rng(7), [np.repeat(np.arange(40), 10)] * splits, np.zeros(2)
    for _ in range(300):
        cells = {
            ("t", features, "mlp"): [
                np.repeat(rng.random((encoders, 1, 40)) < 0.8, 10, axis=2).astype(np.float64) for _ in range(splits)
            ]
            for features in ("t_jepa", "raw")
        }
        for number, given in enumerate(({"t": clusters}, None)):
            called[number] += duels(cells, resamples=2, clusters=given)[0].outcome != "tie"
    bound = binom.ppf(0.9999, 300, FALSE_OUTCOMES)
    assert called[0] <= bound
    assert called[1] > bound or splits > 1  # taken for independent rows; means of several splits show customers, too
