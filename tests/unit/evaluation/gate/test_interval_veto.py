"""Intervals that hold fewer labels than they say."""

import numpy as np
import pytest

from varjepa.config.operations import GateSection
from varjepa.evaluation.gate.evidence import Evidence
from varjepa.evaluation.gate.interval_veto import interval_calibration

SECTION = GateSection()


def evidence(share: float | None, *, rows: int = 2000, seed: int = 0, clusters: int | None = None) -> Evidence:
    """Intervals that hold this share of the labels."""
    numbers = None if clusters is None else np.repeat(np.arange(rows // clusters), clusters)
    if share is None:
        return Evidence(goodness=None)
    rng = np.random.default_rng([seed, 90])
    inside = rng.random(rows) < share if numbers is None else (rng.random(rows // clusters) < share)[numbers]
    return Evidence(goodness=None, covered=inside, promised=0.9, clusters=numbers)


@pytest.mark.parametrize(
    ("challenger", "champion", "fires"),
    [
        (0.80, 0.90, True),  # both the promise and the champion are missed
        (0.80, None, True),
        (0.90, 0.97, False),  # what is promised is enough, whatever the champion holds
        (0.80, 0.80, False),  # rows have changed for both
        (0.89, None, False),
        (0.95, 0.80, False),
        (None, 0.90, False),
    ],
)
def test_too_few_labels_inside_are_a_veto(challenger: float | None, champion: float | None, *, fires: bool) -> None:
    vetoes = list(interval_calibration(evidence(challenger), evidence(champion, seed=1), SECTION))
    assert bool(vetoes) == fires
    assert all(veto.name == "calibration" and "promised are 90.0%" in veto.reason for veto in vetoes)


def test_few_rows_and_no_margin_are_no_veto() -> None:
    assert not list(interval_calibration(evidence(0.5, rows=20), evidence(None), SECTION))
    without = SECTION.model_copy(update={"calibration_margin": None})
    assert not list(interval_calibration(evidence(0.5), evidence(None), without))


@pytest.mark.parametrize("clusters", [None, 20])
def test_honest_intervals_are_vetoed_as_rarely_as_the_level_says(clusters: int | None) -> None:
    """300 models that cover what the margin allows: 5% of them may be vetoed, more than 27 are in 1 of 1,000 seeds."""
    fired = sum(
        bool(list(interval_calibration(evidence(0.9 - 0.02, seed=seed, clusters=clusters), evidence(None), SECTION)))
        for seed in range(300)
    )
    assert fired <= 27


def test_rows_of_a_cluster_count_once() -> None:
    alone = list(interval_calibration(evidence(0.8, rows=600, seed=3), evidence(None), SECTION))
    alike = [
        list(interval_calibration(evidence(0.8, rows=600, seed=seed, clusters=60), evidence(None), SECTION))
        for seed in range(20)
    ]
    assert alone
    assert sum(map(bool, alike)) <= 4
