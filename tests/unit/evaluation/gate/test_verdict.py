"""The judge of the promotion gate: stated error rates, power, and each veto by itself."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.evaluation.gate.simulated_pairs import MODEL, ROWS, groups, pair, ruled
from varjepa.config.operations import GateSection
from varjepa.evaluation.gate.evidence import Evidence


def test_outcomes_and_what_they_say() -> None:
    rng = np.random.default_rng(2)
    challenger, champion = pair(rng)
    same = ruled(challenger, replace(champion, goodness=challenger.goodness))
    assert (same.outcome, same.promote) == ("not worse", True)
    assert ruled(challenger, replace(champion, goodness=challenger.goodness), section=GateSection(margin=0)).promote
    narrow = ruled(challenger, champion, section=GateSection(margin=0.001))
    assert narrow.outcome == "undecided"
    assert "too few rows to rule out a loss of 0.001 (about" in narrow.reason
    assert ruled(challenger, None).outcome == "first"
    nothing = ruled(replace(challenger, goodness=None), champion)
    assert (nothing.outcome, nothing.promote) == ("not compared", False)


def test_squared_errors_have_a_margin_that_is_a_share() -> None:
    rng = np.random.default_rng(3)
    error = rng.normal(size=ROWS)
    champion = Evidence(-(error**2) * 1e6, **MODEL)
    worse = Evidence(-((1.01 * error) ** 2) * 1e6, **MODEL)
    assert ruled(worse, champion, "squared_error", section=GateSection()).outcome == "not worse"
    much = ruled(Evidence(-((1.2 * error) ** 2) * 1e6, **MODEL), champion, "squared_error", section=GateSection())
    assert much.outcome == "worse"
    assert much.numbers["metric"] > much.numbers["champion_metric"] > 0


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ({"active_units": 2}, "collapse", "2 of 64 dimensions vary"),
        ({"active_units": 19}, "collapse", "active units 19 fell below 50% of the champion's 40"),
        ({"rankme": 1.2}, "collapse", "RankMe 1.20 is below 1.5"),
        ({"milliseconds": 0.25}, "latency", "2.5 times the champion's 0.1"),
        ({"inputs": {"x": "numeric", "z": "numeric"}}, "contract", 'asks for "z"'),
        ({"inputs": {"x": "date"}}, "contract", 'reads "x" as date, the champion as numeric'),
        ({"outputs": ("prediction",)}, "contract", 'gives no "accept"'),
        ({"classes": ("no",)}, "contract", 'never predicts "yes"'),
        ({"label": "other"}, "contract", "predicts other, the champion y"),
        ({"accepted": np.zeros(ROWS, dtype=bool)}, "coverage", "all rows, 2,000 rows: share accepted by the"),
        ({"confidence": np.full(ROWS, 0.999)}, "calibration", "allowed are 0.02 more"),
    ],
)
def test_each_veto_fires_alone_and_can_be_turned_off(change: dict, name: str, words: str) -> None:
    challenger, champion = pair(np.random.default_rng(4))
    verdict = ruled(replace(challenger, **change), champion)
    assert [veto.name for veto in verdict.vetoes] == [name]
    assert not verdict.promote
    assert words in verdict.reason
    limits = ("min_active", "min_rank", "collapse_share", "latency_ratio", "coverage_margin", "calibration_margin")
    lenient = GateSection(margin=0.02, same_inputs=False, **dict.fromkeys(limits))
    assert ruled(replace(challenger, **change), champion, section=lenient).promote


def test_only_what_needs_no_champion_is_asked_of_the_first() -> None:
    challenger, _ = pair(np.random.default_rng(5))
    slow = GateSection(latency_ms=0.05)
    assert [veto.name for veto in ruled(challenger, None, section=slow).vetoes] == ["latency"]
    assert [veto.name for veto in ruled(replace(challenger, active_units=0), None).vetoes] == ["collapse"]
    assert ruled(challenger, None).promote


def test_a_subgroup_is_protected_from_a_good_average() -> None:
    rng = np.random.default_rng(6)
    challenger, champion = pair(rng, gain=0.05)
    members = groups(rng)
    few = np.arange(ROWS) < 20
    assert challenger.goodness is not None
    broken = np.where(members["region 2"] & (rng.random(ROWS) < 0.3), 0.0, challenger.goodness)
    verdict = ruled(replace(challenger, goodness=broken), champion, groups=members | {"region few": few})
    assert [veto.name for veto in verdict.vetoes] == ["subgroup"]
    assert "region 2" in verdict.vetoes[0].reason
    assert "region 1" not in verdict.vetoes[0].reason
    assert "fewer than 30 test rows, only large losses are seen: region few (20 rows, from 9 lost on)" in verdict.reason


@pytest.mark.parametrize("others", [1, 2, 3, 8])
def test_a_loss_in_a_small_class_is_seen_from_as_many_rows_on_as_the_reason_says(others: int) -> None:
    """With classes of their own, and the balanced accuracy as one more test; at every number of lost rows."""
    classes = np.r_[np.zeros(12, dtype=int), 1 + np.arange(ROWS - 12) % others]
    members = {f"class {number}": classes == number for number in np.unique(classes)}
    champion = Evidence(np.ones(ROWS))
    for lost in range(13):
        verdict = ruled(Evidence((np.arange(ROWS) >= lost).astype(float)), champion, groups=members, classes=classes)
        assert "class 0 (12 rows, from 7 lost on)" in verdict.reason
        assert ("subgroup" in [veto.name for veto in verdict.vetoes]) == (lost >= 7)


def test_the_reason_says_that_few_clusters_of_a_small_class_show_no_loss() -> None:
    classes, customers = (np.arange(ROWS) >= 12).astype(int), np.arange(ROWS) // 4
    members = {f"class {number}": classes == number for number in (0, 1)}
    challenger, champion = (Evidence(values, clusters=customers) for values in (classes.astype(float), np.ones(ROWS)))
    verdict = ruled(challenger, champion, groups=members, classes=classes)
    assert not [veto for veto in verdict.vetoes if veto.name == "subgroup"]
    assert "class 0 (12 rows in 3 clusters, none)" in verdict.reason


def test_abstaining_must_not_fall_on_one_group() -> None:
    """Overall as many rows are accepted as before; by a certificate, and by the surest 80% where there is none."""
    rng = np.random.default_rng(7)
    challenger, champion = pair(rng)
    members = groups(rng)
    here = members["region 3"]
    accepted = (champion.accepted & ~here) | (~here & (rng.random(ROWS) < 0.6))
    unsure = np.where(here, 1.0, challenger.uncertainty)
    certified = ruled(replace(challenger, accepted=accepted), champion, groups=members)
    sharp = replace(challenger, uncertainty=unsure, accepted=None), replace(champion, accepted=None)
    section = GateSection(margin=0.02, same_inputs=False)
    for verdict, how in ((certified, "by the certificate"), (ruled(*sharp, groups=members, section=section), "surest")):
        assert [veto.name for veto in verdict.vetoes] == ["coverage"], verdict.reason
        assert verdict.vetoes[0].reason.startswith("region 3")
        assert how in verdict.reason


def test_the_champions_own_rows_are_a_subgroup_too() -> None:
    rng = np.random.default_rng(8)
    challenger, champion = pair(rng, gain=0.05)
    bad, good = rng.random(500) < 0.6, rng.random(500) < 0.85
    verdict = ruled(challenger, champion, reference=(Evidence(bad.astype(float)), Evidence(good.astype(float))))
    assert (verdict.outcome, [veto.name for veto in verdict.vetoes]) == ("better", ["reference"])


def test_certificates_that_accept_fewer_rows_by_chance_of_their_calibration_are_no_veto() -> None:
    """A drop of 15 points is beyond the chance of 2,000 test rows, but not beyond that of few calibration rows."""
    rng = np.random.default_rng(5)
    challenger, champion = pair(rng)
    champion = replace(champion, accepted=rng.random(ROWS) < 0.8)
    challenger = replace(challenger, accepted=rng.random(ROWS) < 0.65)
    assert [veto.name for veto in ruled(challenger, champion).vetoes] == ["coverage"]
    noisy = (replace(model, accepted_error=0.07) for model in (challenger, champion))
    assert ruled(*noisy).vetoes == ()
    sure = (replace(model, accepted_error=0.02) for model in (challenger, champion))
    assert [veto.name for veto in ruled(*sure).vetoes] == ["coverage"]


def test_a_class_without_a_test_row_is_named_too() -> None:
    challenger, champion = pair(np.random.default_rng(6))
    groups = {"y yes": np.ones(ROWS, dtype=bool), "y rare": np.zeros(ROWS, dtype=bool)}
    notes = " ".join(ruled(challenger, champion, groups=groups).notes)
    assert "only large losses are seen: y rare (0 rows, none)" in notes
