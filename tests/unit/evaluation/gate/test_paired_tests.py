"""Tests of paired differences on small cases whose answers are known."""

import numpy as np
import pytest
from scipy.stats import binom

from varjepa.evaluation.gate.paired_tests import (
    NUISANCE_RISK,
    Pairs,
    fewest_units,
    interval,
    p_margin,
    p_worse,
    rows_needed,
    shown_above,
)

RISK = 0.025


def answers(gains: int, losses: int, rows: int) -> Pairs:
    values = np.r_[np.ones(gains), -np.ones(losses), np.zeros(rows - gains - losses)]
    return Pairs(values, bound=1.0)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "margin"), [(10, 0.01), (20, 0.1), (50, 0.1), (100, 0.05)])
def test_the_exact_test_keeps_its_error_for_every_share_of_disagreements(rows: int, margin: float) -> None:
    """The whole distribution is added up, so there is no chance of a false alarm."""
    passed = [[p_margin(found - losses, losses, rows, margin) <= RISK for losses in range(found + 1)]
              for found in range(min(rows, 40) + 1)]  # fmt: skip
    # Fewer losses among as many disagreements are never worse, so the number that pass is the most losses that do.
    assert all(sorted(row, reverse=True) == row for row in passed)
    for share in np.linspace(margin, min(1.0, 25 / rows), 20):
        error = sum(
            binom.pmf(found, rows, share) * binom.cdf(sum(row) - 1, found, (1 + margin / share) / 2)
            for found, row in enumerate(passed)
        )
        assert error <= RISK + 1e-6


def test_agreement_on_every_row_counts_from_as_many_rows_as_the_margin_takes() -> None:
    assert p_margin(0, 0, 200, 0.01) == pytest.approx(0.99**200 + NUISANCE_RISK)
    assert [shown_above(answers(0, 0, rows), -0.01, RISK) for rows in (10, 360, 372)] == [False, False, True]
    assert shown_above(answers(0, 0, 10), -1.0, RISK)  # no loss exceeds a margin of 1


def test_intervals_hold_the_mean_and_follow_the_tests() -> None:
    for gains, losses, rows in ((0, 0, 50), (0, 3, 50), (7, 2, 400), (200, 150, 3000)):
        pairs = answers(gains, losses, rows)
        low, high = interval(pairs, 0.95)
        assert -1 <= low <= pairs.mean <= high <= 1
        assert interval(pairs.reversed(), 0.95) == pytest.approx((-high, -low))
    low, high = interval(answers(0, 0, 50), 0.95)
    assert high == pytest.approx(-low) == pytest.approx(1 / (1 + 50 / 1.96**2), rel=1e-3)  # nothing seen is not nothing


def test_copies_of_rows_in_a_cluster_add_no_evidence() -> None:
    rng = np.random.default_rng(0)
    values = rng.choice([-1.0, 0.0, 1.0], 600, p=[0.02, 0.93, 0.05])
    copied, clusters = np.repeat(values, 5), np.repeat(np.arange(600), 5)
    alone, together = Pairs(values + 1e-9, bound=1.0), Pairs(copied, clusters, 1.0)
    assert interval(together, 0.95) == pytest.approx(interval(alone, 0.95), abs=1e-6)
    assert interval(Pairs(copied, bound=1.0), 0.95).low > interval(together, 0.95).low
    shuffled = rng.permutation(len(copied))
    assert interval(Pairs(copied[shuffled], clusters[shuffled], 1.0), 0.95) == pytest.approx(interval(together, 0.95))


def test_one_cluster_and_unbounded_losses_on_few_rows_show_nothing() -> None:
    assert not shown_above(Pairs(np.ones(20), np.zeros(20, dtype=np.int64), 1.0), -0.5, RISK)
    few, many = np.full(fewest_units(RISK) - 1, 0.1), np.full(fewest_units(RISK), 0.1)
    assert not shown_above(Pairs(few), -10.0, RISK)
    assert shown_above(Pairs(many), 0.0, RISK)


def test_as_many_rows_as_are_asked_for_do() -> None:
    rng = np.random.default_rng(1)
    for clusters in (None, np.repeat(np.arange(100), 3)):
        pairs = Pairs(rng.choice([-1.0, 0.0, 1.0], 300, p=[0.02, 0.96, 0.02]), clusters, 1.0)
        pairs = pairs._replace(differences=pairs.differences - pairs.mean)
        times = -(-rows_needed(pairs, 0.01, RISK) // 300)
        more = None if clusters is None else np.concatenate([clusters + 100 * k for k in range(times)])
        assert times > 1
        assert shown_above(Pairs(np.tile(pairs.differences, times), more, 1.0), -0.01, RISK)
        assert not shown_above(pairs, -0.01, RISK)


def test_signs_of_clusters_are_as_likely_either_way() -> None:
    """Losses of 2, 1 and 1 rows and a gain of 1, in four clusters: all 16 patterns of signs are counted."""
    sums = {0: -2.0, 1: -1.0, 2: 1.0, 3: -1.0}
    values = np.array([-1.0, -1.0, -1.0, 1.0, 0.0, -1.0])
    clusters = np.array([0, 0, 1, 2, 2, 3])
    pairs = Pairs(values, clusters, 1.0)
    assert pairs.sums.tolist() == list(sums.values())
    patterns = np.array(np.meshgrid(*[[size, 0] for size in (2, 1, 1, 1)])).reshape(4, -1).sum(0)
    assert p_worse(pairs) == pytest.approx((patterns >= 4).mean())
    assert p_worse(pairs._replace(clusters=np.arange(6))) == p_worse(values)


def test_one_independent_unit_shows_nothing() -> None:
    assert p_worse(np.array([-0.3])) == 0.5
    assert p_worse(np.array([0.3])) == 1.0
    assert p_worse(np.array([-0.3, -0.3])) == 0.25
    values = np.random.default_rng(0).normal(-0.3, 0.1, 50)
    assert p_worse(Pairs(values, np.zeros(50, dtype=int))) == 0.5  # fifty rows of one customer
    assert p_worse(values) < 1e-6
