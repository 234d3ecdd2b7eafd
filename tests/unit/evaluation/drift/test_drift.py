"""Two-sample tests on counts: right where the truth is known, silent where nothing has changed, loud where it has."""

import numpy as np
import pytest
from scipy import stats

from tests.unit.evaluation.drift.simulated_batches import DRAWS, STRICT, pair, unchanged
from varjepa.config.operations import DriftSection
from varjepa.evaluation.drift.samples import Categories, Numbers, together
from varjepa.evaluation.drift.tests import Subject, drift_score, find_drift
from varjepa.evaluation.drift.two_samples import compare_categories, compare_numbers, compare_shares
from varjepa.evaluation.drift.words import sentence


def test_counts_say_what_the_rows_themselves_say() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.poisson(4, 900).astype(float), rng.poisson(4.3, 400).astype(float)
    reference = Numbers.of(first)
    found = compare_numbers(reference, Numbers.of(second, knots=reference.knots))
    any_change = stats.ks_2samp(first, second, method="asymp")
    shift = stats.mannwhitneyu(second, first, use_continuity=False, method="asymptotic")
    assert found.statistic == pytest.approx(any_change.statistic)
    assert found.p == pytest.approx(
        2 * min(shift.pvalue, stats.kstwobign.sf(any_change.statistic * (900 * 400 / 1300) ** 0.5))
    )
    assert found.shift == pytest.approx((second.mean() - first.mean()) / first.std())
    counts = np.array([[50, 60, 90], [70, 40, 90]])
    two = [Categories(names=("a", "b", "c"), counts=tuple(row.tolist())) for row in counts]
    table = stats.chi2_contingency(counts, correction=False)
    assert compare_categories(*two)[1:3] == pytest.approx((table.statistic, table.pvalue))
    assert compare_categories(*two).effect == pytest.approx(0.1)
    tails = [stats.fisher_exact([[12, 88], [3, 197]], alternative=side).pvalue for side in ("less", "greater")]
    assert compare_shares((12, 100), (3, 200)).p == pytest.approx(2 * min(tails))


def test_samples_add_up() -> None:
    values = np.random.default_rng(5).normal(3, 2, 5000)
    whole = Numbers.of(values)
    parts = [Numbers.of(part, knots=whole.knots, missing=2) for part in np.array_split(values, 7)]
    total = parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    assert total.counts == whole.counts
    assert (total.missing, total.present) == (14, 5000)
    assert (total.mean, total.deviation) == pytest.approx((values.mean(), values.std()))
    places = np.linspace(-4, 9, 40)
    assert whole.below(places) == pytest.approx((values[:, None] <= places).mean(0), abs=0.005)
    assert Numbers.of(np.array([0.0, 0.0, 4.0])).below(np.array([-1.0, 0.0, 2.0, 4.0, 5.0])) == pytest.approx(
        [0, 2 / 3, 2 / 3, 1, 1]
    )


def test_a_pile_that_moves_by_a_hair_is_seen_to_move() -> None:
    rng = np.random.default_rng(6)
    values = np.where(rng.random(3000) < 0.6, 0.0, rng.exponential(size=3000))
    reference = Numbers.of(values[:2000])
    moved = np.where(values[2000:] == 0, -1e-9, values[2000:])
    assert compare_numbers(reference, Numbers.of(values[2000:], knots=reference.knots)).p > 0.01
    assert compare_numbers(reference, Numbers.of(moved, knots=reference.knots)).p < 1e-9


def test_changes_are_found_named_and_put_into_words() -> None:
    rng = np.random.default_rng(7)
    subjects = unchanged(rng, 5000, 2000)
    reference, _ = pair(rng, DRAWS["normal"], 5000, 1)
    shifted = Numbers.of(rng.normal(0.25, 1, 2000), knots=reference.knots)
    two = [Categories(names=("a", "b"), counts=tuple(rng.multinomial(n, p).tolist()), other=o, missing=m)
           for n, p, o, m in ((5000, (0.5, 0.5), 1, 100), (2000, (0.6, 0.4), 25, 120))]  # fmt: skip
    found = find_drift([*subjects, Subject("income", "column", reference, shifted), Subject("job", "column", *two)],
                       DriftSection())  # fmt: skip
    drifted = {(one.subject.name, one.aspect): one for one in found if one.verdict == "drift"}
    assert set(drifted) == {("income", "values"), ("job", "values"), ("job", "missing"), ("job", "new categories")}
    assert drifted["income", "values"].comparison.shift == pytest.approx(0.25, abs=0.06)
    assert [one.verdict for one in found[:4]] == ["drift"] * 4
    assert found[0].comparison.effect == drift_score(found)
    assert "standard deviations" in sentence(drifted["income", "values"])
    assert "changed by 10" in sentence(drifted["job", "values"])
    said = sentence(drifted["job", "new categories"], {"pilot": 20, "cook": 5})
    assert 'such as "pilot" (20 rows), "cook" (5 rows)' in said
    assert "missing in 5.59% of the rows" in sentence(drifted["job", "missing"])


def test_trifles_of_huge_batches_are_no_drift() -> None:
    rng = np.random.default_rng(8)
    reference = Numbers.of(rng.normal(size=200_000))
    new = Numbers.of(rng.normal(0.03, 1, 2_000_000), knots=reference.knots)
    (one,) = find_drift([Subject("x", "column", reference, new)], DriftSection())
    assert one.verdict == "trifle"
    assert one.adjusted < 1e-6
    (strict,) = find_drift([Subject("x", "column", reference, new)], STRICT)
    assert strict.verdict == "drift"


def test_samples_without_rows_or_without_differences_say_nothing() -> None:
    empty, three = Numbers.of(np.zeros(0), knots=(1.0, 2.0)), Numbers.of(np.array([1.0, 1.0, 2.0]))
    assert compare_numbers(three, empty).p == 1.0
    constant = Numbers.of(np.ones(50))
    same = compare_numbers(constant, Numbers.of(np.ones(20), knots=constant.knots))
    assert (same.p, same.effect, same.shift) == (1.0, 0.0, 0.0)
    nothing = Categories(names=("a",), counts=(0,), other=0)
    assert compare_categories(nothing, nothing).p == 1.0
    assert compare_shares((0, 0), (1, 2)).p == 1.0


def test_samples_of_two_kinds_are_no_pair() -> None:
    number, word = Numbers.of(np.ones(3)), Categories(names=("a",), counts=(3,))
    assert together(number, number).present == together(word, word).present == 6
    with pytest.raises(TypeError, match="in common"):
        together(number, word)
    with pytest.raises(TypeError, match="x is a number in one sample"):
        find_drift([Subject("x", "column", word, number)], STRICT)
