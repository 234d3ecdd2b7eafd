"""Drift tests alarm at the stated rate at most."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.simulated_rows import columns_of_customers
from tests.unit.evaluation.drift.simulated_batches import DRAWS, STRICT, mixed, pair, unchanged
from varjepa.evaluation.drift.dependence import Clustering
from varjepa.evaluation.drift.tests import find_drift
from varjepa.evaluation.drift.two_samples import compare_categories, compare_numbers, compare_shares
from varjepa.inference.drift_counts import subjects_of
from varjepa.inference.drift_reference import Counts
from varjepa.inference.row_statistics import RowValues


@pytest.mark.parametrize(("rows", "new"), [(4000, 1000), (150, 60), (400, 20_000)])
def test_unchanged_batches_alarm_at_the_stated_rate_at_most(rows: int, new: int) -> None:
    rng, trials = np.random.default_rng([rows, new]), 400
    hits = sum(
        any(one.verdict == "drift" for one in find_drift(unchanged(rng, rows, new), STRICT)) for _ in range(trials)
    )
    # With a true rate of 5% more than 35 alarms in 400 are seen once in a thousand times.
    assert hits <= stats.binom.ppf(0.999, trials, STRICT.false_alarms)
    assert hits > 0  # not silent altogether: some tests are nearly exact


def test_p_values_are_small_as_seldom_as_they_say() -> None:
    """Down to the levels that a correction for many tests asks for."""
    rng, trials = np.random.default_rng(3), 3000
    shares = np.r_[0.9, np.full(20, 0.1 / 20)]  # twenty rare categories
    found = {
        "categories": [compare_categories(mixed(rng, 3000), mixed(rng, 700)).p for _ in range(trials)],
        "rare": [compare_categories(mixed(rng, 3000, shares), mixed(rng, 700, shares)).p for _ in range(trials)],
        "shares": [compare_shares(*((int(rng.binomial(n, 0.02)), n) for n in (2000, 500))).p for _ in range(trials)],
        "zeros": [compare_numbers(*pair(rng, DRAWS["mostly zeros"], 1000, 300)).p for _ in range(trials)],
        "normal": [compare_numbers(*pair(rng, DRAWS["normal"], 1000, 300)).p for _ in range(trials)],
    }
    for name, values in found.items():
        for level in (0.05, 0.01, 0.002):
            assert (np.array(values) <= level).sum() <= stats.binom.ppf(0.9995, trials, level), name


@pytest.mark.parametrize(("size", "likeness"), [(1, 0.0), (5, 0.3), (5, 1.0), (20, 0.3), (20, 1.0)])
def test_rows_in_clusters_alarm_at_the_stated_rate_at_most(size: int, likeness: float) -> None:
    """Numbers and categories of customers with as many rows each, 300 customers before and 200 now, 150 trials.

    With a true rate of 5% more than 17 alarms are seen once in a thousand times. Rows that are taken for independent
    alarm in nearly all trials for 20 rows a customer (`python -m benchmarks.promises`).
    """
    alarms = sum(
        any(finding.verdict == "drift" for finding in find_drift(columns_of_customers(size, likeness, trial), STRICT))
        for trial in range(150)
    )
    assert alarms <= stats.binom.ppf(0.999, 150, STRICT.false_alarms)


@pytest.mark.parametrize("kept", [5, 4])
def test_a_thinned_reference_does_not_make_rows_independent(kept: int) -> None:
    """A reference of every fifth or fourth row, so of one or hardly two rows a customer; all 5 rows a customer now.

    400 trials, 1000 customers before and 200 now. A p-value of at most 0.05 is due in at most 35 of them (chance of
    more: 0.001). With one row a customer, rows that are taken for independent have one in 77 of them.
    """
    rng, found = np.random.default_rng(kept), 0
    customers = np.arange(1000, dtype=np.uint64).repeat(5)
    for _ in range(400):
        before, now = (rng.normal(size=1000).repeat(5) + 0.5 * rng.normal(size=5000) for _ in range(2))
        reference, clusters = RowValues(before[::kept]), Clustering.of(customers[::kept])
        counts = Counts(columns={}, label=None, statistics={"elbo": reference.counted(clusters=clusters)}, quality={})
        subjects = subjects_of(counts, {}, (None, None), {"elbo": RowValues(now[:1000])}, (5.0, 5.0))
        found += find_drift(subjects, STRICT)[0].adjusted <= 0.05
    assert found <= stats.binom.ppf(0.999, 400, 0.05)


def test_a_change_is_found_in_clusters_too() -> None:
    """Whose rows are alike by 0.3: every second customer's numbers move by a whole deviation."""
    found = [find_drift(columns_of_customers(20, 0.3, trial, shift=1.0), STRICT)[0] for trial in range(20)]
    assert all((one.verdict, one.subject.name) == ("drift", "number") for one in found)
