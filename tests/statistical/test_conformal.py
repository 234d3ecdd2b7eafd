"""Conformal promises, over many draws with fixed seeds: a right method fails a test in less than 1 of 1,000 seeds.

Each bound is the promise less 3.3 standard errors of what is measured.
"""

import numpy as np
import pytest

from varjepa.evaluation.uncertainty.certificate import certify
from varjepa.evaluation.uncertainty.conformal import conformal_threshold
from varjepa.evaluation.uncertainty.number_metrics import NumberRows
from varjepa.evaluation.uncertainty.prediction_sets import LabelledRows, fit_sets
from varjepa.evaluation.uncertainty.predictive import (
    Arms,
    RowQuantiles,
    ValidationRows,
    choose_method,
    fit_rule,
)
from varjepa.evaluation.uncertainty.set_metrics import covered

DRAWS = 400
BEYOND_CHANCE = 3.3
"""Standard errors: 1 of 1,000 draws lies further away on either side."""


def error_of(values: np.ndarray) -> float:
    """Standard error of the mean of independent draws [R]."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


@pytest.mark.parametrize(("rows", "level"), [(9, 0.9), (37, 0.9), (200, 0.9), (25, 0.8), (99, 0.95)])
def test_independent_rows_are_covered_as_often_as_promised_and_hardly_more(rows: int, level: float) -> None:
    rng = np.random.default_rng([rows, 60])
    shares = np.array([conformal_threshold(rng.random(rows), level) for _ in range(4000)])  # uniform: the coverage
    assert level - BEYOND_CHANCE * error_of(shares) <= shares.mean()
    assert shares.mean() <= level + 1 / (rows + 1) + BEYOND_CHANCE * error_of(shares)


@pytest.mark.parametrize("likeness", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("sizes", ["equal", "skewed", "hard ones are large"])
def test_rows_in_clusters_are_covered_as_often_as_promised(sizes: str, likeness: float) -> None:
    level, missed, rows = 0.9, [], []
    for draw in range(DRAWS):
        rng = np.random.default_rng([draw, 61])
        hardness = rng.normal(size=41)
        counts = {
            "equal": np.full(41, 8),
            "skewed": np.where(rng.random(41) < 0.1, 20, 2),
            "hard ones are large": np.where(hardness > 1, 20, 2),
        }[sizes]
        clusters = np.repeat(np.arange(41), counts)
        scores = np.sqrt(likeness) * hardness[clusters] + np.sqrt(1 - likeness) * rng.normal(size=len(clusters))
        new = clusters == 40  # the new cluster; the 40 others calibrate
        threshold = conformal_threshold(scores[~new], level, largest=int(counts.max()))
        missed.append((scores[new] > threshold).sum())
        rows.append(new.sum())
    excess = np.array(missed) - (1 - level) * np.array(rows)
    assert excess.mean() <= BEYOND_CHANCE * error_of(excess)


def test_clusters_taken_for_independent_rows_break_the_promise() -> None:
    level, excess = 0.9, []
    for draw in range(4 * DRAWS):
        rng = np.random.default_rng([draw, 62])
        own = rng.normal(size=13)  # twelve customers of twenty rows that are all alike, and a new one
        threshold = conformal_threshold(np.repeat(own[:12], 20), level)
        assert conformal_threshold(np.repeat(own[:12], 20), level, largest=20) >= threshold
        excess.append((own[12] > threshold) - (1 - level))
    assert np.mean(excess) > BEYOND_CHANCE * error_of(np.array(excess))


def labelled_rows(rng: np.random.Generator, shares: list[float], rows: int) -> LabelledRows:
    """Rows whose given probabilities are somewhat too sure."""
    labels = rng.choice(len(shares), p=shares, size=rows)
    logits = np.log(shares) + 1.5 * np.eye(len(shares))[labels] + rng.normal(size=(rows, len(shares)))
    scaled = np.exp(1.4 * logits)
    return LabelledRows(scaled / scaled.sum(1, keepdims=True), labels)


def test_all_rows_keep_the_promise_where_a_class_is_too_rare_for_its_own() -> None:
    """Sets held 78% of the labels instead of 90%: the common class had a threshold of its own, the rare one not."""
    level, shares = 0.9, []
    for draw in range(DRAWS):
        rng = np.random.default_rng([draw, 67])
        calibration, new = (hard_to_tell(rng, rows) for rows in (90, 1000))
        rule = fit_sets(calibration, calibration, level)
        if rule.basis == ("class", "all"):
            shares.append(covered(rule.sets(new.probabilities), new.labels).mean())
    assert len(shares) > 0.9 * DRAWS
    assert np.mean(shares) >= level - BEYOND_CHANCE * error_of(np.array(shares))


def hard_to_tell(rng: np.random.Generator, rows: int) -> LabelledRows:
    """Rows of two classes, the second one of a quarter of the rows, with their true probabilities."""
    rare = 1 / (1 + np.exp(1.4 - 1.2 * rng.normal(size=rows)))
    return LabelledRows(np.stack([1 - rare, rare], 1), (rng.random(rows) < rare).astype(int))


@pytest.mark.parametrize("shares", [[0.8, 0.2], [0.5, 0.3, 0.15, 0.05]])
def test_sets_cover_every_class_as_often_as_promised(shares: list[float]) -> None:
    found: dict[int, list[float]] = {number: [] for number in range(len(shares))}
    for draw in range(60):
        rng = np.random.default_rng([draw, 63])
        rule = fit_sets(labelled_rows(rng, shares, 300), labelled_rows(rng, shares, 1500), 0.9)
        assert rule.basis == ("class",) * len(shares)
        new = labelled_rows(rng, shares, 3000)
        right = covered(rule.sets(new.probabilities), new.labels)
        for number, values in found.items():
            values.append(right[new.labels == number].mean())
    for values in found.values():
        assert 0.9 - BEYOND_CHANCE * error_of(np.array(values)) <= np.mean(values) <= 0.92


def rare_and_common(rng: np.random.Generator) -> LabelledRows:
    return labelled_rows(rng, [0.88, 0.04, 0.04, 0.04], 700)


def test_rare_classes_are_covered_together() -> None:
    shares = []
    for draw in range(100):
        rng = np.random.default_rng([draw, 64])
        rule, new = fit_sets(rare_and_common(rng), rare_and_common(rng), 0.9), rare_and_common(rng)
        rare = new.labels > 0
        assert rule.basis == ("class", "rare", "rare", "rare")
        shares.append(covered(rule.sets(new.probabilities), new.labels)[rare].mean())
    assert 0.9 - BEYOND_CHANCE * error_of(np.array(shares)) <= np.mean(shares) <= 0.93


def house_prices(rng: np.random.Generator, rows: int) -> tuple[dict, np.ndarray, np.ndarray]:
    """Maps by three methods, labels, and the true spread: skewed noise that grows with what is known of a row."""
    known = rng.random(rows)
    spread = 0.2 + 2 * known
    labels = 3 * known + spread * (rng.gamma(2.0, size=rows) - 2)
    guess = 3 * known
    quantiles = guess[:, None] + spread[:, None] * (np.array([0.36, 0.96, 1.68, 2.69, 4.74]) - 2)
    maps = {
        "split": RowQuantiles.around(guess, np.ones(rows)),
        "normalised": RowQuantiles.around(guess, spread),
        "quantile": RowQuantiles.of(np.array([-1.64, -0.67, 0.0, 0.67, 1.64]), quantiles, 1e-6),
    }
    return maps, labels, spread


@pytest.mark.parametrize("method", ["split", "normalised", "quantile"])
@pytest.mark.parametrize("lower", [None, 0.2, 0.5])
@pytest.mark.parametrize("rows", [60, 500])
def test_intervals_cover_as_often_as_promised(method: str, lower: float | None, rows: int) -> None:
    shares = []
    for draw in range(150):
        rng = np.random.default_rng([draw, 65])
        (maps, labels, _), (others, truth, _) = house_prices(rng, rows), house_prices(rng, 1000)
        rule = fit_rule((method, Arms(lower), ""), maps[method], labels, 0.9)
        assert rule is not None
        low, high = rule.interval(others[method])
        shares.append(((low <= truth) & (truth <= high)).mean())
    assert 0.9 - BEYOND_CHANCE * error_of(np.array(shares)) <= np.mean(shares) <= 0.9 + 2.5 / rows + 0.01


def test_the_narrowest_method_is_chosen_and_beats_plain_split_conformal() -> None:
    widths: dict[str, list[float]] = {"chosen": [], "plain": []}
    for draw in range(30):
        rng = np.random.default_rng([draw, 66])
        (maps, labels, _), (calibration, known, _), (new, _, _) = (house_prices(rng, rows) for rows in (400, 400, 1000))
        method, arms, reason = choose_method(ValidationRows(maps, labels), 0.9)
        assert method in reason
        for name, choice in (("chosen", (method, arms, reason)), ("plain", ("split", Arms(), ""))):
            rule = fit_rule(choice, calibration[choice[0]], known, 0.9)
            assert rule is not None
            low, high = rule.interval(new[choice[0]])
            widths[name].append((high - low).mean())
    assert np.mean(widths["chosen"]) < 0.9 * np.mean(widths["plain"])


def test_without_structure_the_choice_costs_no_width() -> None:
    """Where the noise is the same for all rows, choosing among all methods costs less than 2% of the width."""
    chosen, plain = [], []
    for draw in range(60):
        rng = np.random.default_rng([draw, 67])
        labels, guesses = rng.normal(size=120), rng.uniform(0.9, 1.1, size=120)
        maps = {
            "split": RowQuantiles.around(np.zeros(120), np.ones(120)),
            "normalised": RowQuantiles.around(np.zeros(120), guesses),
        }
        choice = choose_method(ValidationRows(maps, labels), 0.9)
        for widths, wanted in ((chosen, choice), (plain, ("split", Arms(), ""))):
            rule = fit_rule(wanted, maps[wanted[0]], rng.normal(size=120), 0.9)
            assert rule is not None
            low, high = rule.interval(maps[wanted[0]])
            widths.append((high - low).mean())
    assert np.mean(chosen) < 1.02 * np.mean(plain)


def test_pit_values_are_uniform_and_the_crps_is_that_of_the_distribution() -> None:
    rng = np.random.default_rng(68)
    (maps, labels, _), (new, truth, _) = house_prices(rng, 4000), house_prices(rng, 4000)
    rule = fit_rule(("normalised", Arms(), ""), maps["normalised"], labels, 0.9)
    assert rule is not None
    values = np.sort(rule.pit(new["normalised"], truth))
    distance = np.abs(values - (np.arange(4000) + 0.5) / 4000).max()
    assert distance < 1.95 / np.sqrt(2000)  # Kolmogorov-Smirnov of two samples of 4,000, at 1 of 1,000
    # Gaussian noise of a known CRPS: sigma times (1 / sqrt(pi)).
    noise = rng.normal(size=(2, 20000))
    gaussian = fit_rule(("split", Arms(), ""), RowQuantiles.around(np.zeros(20000), np.ones(20000)), noise[0], 0.9)
    assert gaussian is not None
    mean = gaussian.crps(RowQuantiles.around(np.zeros(20000), np.ones(20000)), noise[1]).mean()
    assert mean == pytest.approx(1 / np.sqrt(np.pi), rel=0.03)


def number_rows(rng: np.random.Generator, rows: int) -> NumberRows:
    """Errors whose size is known but for chance."""
    size = rng.gamma(2.0, size=rows)
    return NumberRows(size, size * rng.normal(size=rows))


def test_certificates_of_numbers_are_broken_as_rarely_as_they_say() -> None:
    """300 calibration parts, 90% confidence: 30 may be broken, and more than 47 are in less than 1 of 1,000 seeds."""
    truth, broken, coverage = number_rows(np.random.default_rng(69), 300_000), 0, []
    thresholds = number_rows(np.random.default_rng(70), 1000)
    for trial in range(300):
        rows = number_rows(np.random.default_rng([trial, 71]), 1000).ranked(2.0)
        certificate = certify(rows, thresholds.ranked(2.0), accuracy=0.9, confidence=0.9)
        if certificate.threshold is not None:
            kept = truth.uncertainty <= certificate.threshold
            broken += (np.abs(truth.error[kept]) <= 2).mean() < 0.9
            coverage.append(certificate.coverage)
    assert broken <= 47
    assert np.mean(coverage) > 0.3
