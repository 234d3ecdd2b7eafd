"""Simulated evidence about pairs of classifiers, for the gate to judge."""

import numpy as np

from varjepa.config.operations import GateSection
from varjepa.evaluation.gate.evidence import Evidence, Metric
from varjepa.evaluation.gate.verdict import Verdict, judge

ROWS = 2000

SECTION = GateSection(margin=0.02)

MODEL = {"active_units": 40, "dimensions": 64, "rankme": 12.0, "milliseconds": 0.1, "inputs": {"x": "numeric"},
         "outputs": ("prediction", "accept"), "label": "y", "classes": ("no", "yes")}  # fmt: skip


def pair(rng: np.random.Generator, gain: float = 0.0, rows: int = ROWS) -> tuple[Evidence, Evidence]:
    """Two calibrated classifiers that share most of their errors; the first is right more often by `gain`."""
    ease, luck, alike = rng.beta(6, 1, rows), rng.random(rows), rng.random(rows) < 2 / 3
    found = []
    for more in (gain, 0.0):
        chance = np.clip(ease + more, 0, 1)
        correct = np.where(alike, luck, rng.random(rows)) < chance
        uncertainty = 1 - chance
        found.append(Evidence(correct.astype(float), chance, correct, uncertainty, uncertainty < 0.2, **MODEL))
    return found[0], found[1]


def groups(rng: np.random.Generator, rows: int = ROWS) -> dict[str, np.ndarray]:
    """Two classes and four regions."""
    klass, region = rng.random(rows) < 0.3, rng.integers(4, size=rows)
    return {"y yes": klass, "y no": ~klass} | {f"region {number}": region == number for number in range(4)}


def ruled(challenger: Evidence, champion: Evidence | None, metric: Metric = "accuracy", **more) -> Verdict:
    settings = {"groups": {}, "section": SECTION} | more
    return judge(challenger, champion, metric=metric, **settings)
