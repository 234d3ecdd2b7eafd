"""Equal models tie as often as stated, alone and in a report of many duels."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.benchmark.tables import FALSE_OUTCOMES, duels
from varjepa.evaluation.uncertainty.paired_bootstrap import paired_bootstrap

REPORTS = 300
DATASETS = ("a", "b", "c")
PREDICTORS = ("mlp", "xgboost")
FEATURES = ("raw", "t_jepa", "var_t_jepa")


def test_equal_models_tie_about_as_often_as_stated() -> None:
    rng = np.random.default_rng(2)
    pairs = [rng.random((2, 1, 300)) < 0.8 for _ in range(400)]
    intervals = [paired_bootstrap(a, b, level=0.9, resamples=500) for a, b in pairs]
    ties = sum(interval.low <= 0 <= interval.high for interval in intervals)
    # 4 standard errors of 400 draws at 0.9 are 0.06.
    assert abs(ties / 400 - 0.9) < 0.06


def answers(rng: np.random.Generator, rows: int) -> Floats:
    """Right and wrong answers [R, N] of five seeds, which agree on all but a tenth of the rows."""
    doubtful = rng.random(rows) < 0.1
    return (rng.random((5, rows)) < np.where(doubtful, rng.beta(0.5, 0.5, rows), 1.0)).astype(np.float64)


def losses(rng: np.random.Generator, rows: int) -> Floats:
    """Minus squared errors [R, N] of five seeds, with a heavy tail."""
    return -rng.lognormal(0, 1, rows) * rng.chisquare(3, (5, rows))


@pytest.mark.parametrize("draw", [answers, losses])
def test_reports_of_equal_feature_sets_rarely_call_a_winner(draw: Callable[[np.random.Generator, int], Floats]) -> None:
    """300 reports of 18 null duels on 150 rows, seed 7: in at most 5% of them is any duel won or lost.

    The bound is the 0.9999 quantile of the number of such reports at 5%: 31 of 300. A false alarm has a chance of at
    most 1e-4 per case. By p-values of each duel alone, more than a third of the reports have one.
    """
    rng, wrong, alone = np.random.default_rng(7), 0, 0
    for _ in range(REPORTS):
        cells = {(d, f, p): [draw(rng, 150)[None]] for d in DATASETS for f in FEATURES for p in PREDICTORS}
        report = duels(cells, resamples=2)
        assert len(report) == 18
        wrong += any(duel.outcome != "tie" for duel in report)
        alone += any(duel.difference.p <= FALSE_OUTCOMES for duel in report)
    assert wrong <= binom.ppf(0.9999, REPORTS, FALSE_OUTCOMES) < REPORTS / 3 < alone
