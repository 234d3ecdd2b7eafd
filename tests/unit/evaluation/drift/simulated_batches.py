"""Simulated columns of every sort, as counts."""

import numpy as np

from varjepa.config.operations import DriftSection
from varjepa.evaluation.drift.samples import Categories, Numbers
from varjepa.evaluation.drift.tests import Subject

STRICT = DriftSection(smallest_effect=0.0, smallest_share=0.0)
"""Every certain change counts, however small: nothing but the p-values keeps alarms away."""

WORDS = tuple("abcdefghijklmnopqrst")

ZIPF = 1 / np.arange(1, len(WORDS) + 2) ** 1.5  # the last is any other word

DRAWS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "mostly zeros": lambda rng, n: np.where(rng.random(n) < 0.92, 0.0, np.exp(rng.normal(8, 1, n)).round()),
    "few whole numbers": lambda rng, n: rng.poisson(3, n).astype(float),
    "heavy tail": lambda rng, n: np.exp(2 * rng.normal(size=n)),
}


def mixed(rng: np.random.Generator, rows: int, shares: np.ndarray = ZIPF, gaps: float = 0.03) -> Categories:
    missing = int(rng.binomial(rows, gaps))
    counts = rng.multinomial(rows - missing, shares / shares.sum())
    return Categories(names=WORDS, counts=tuple(counts[:-1].tolist()), other=int(counts[-1]), missing=missing)


def pair(rng: np.random.Generator, draw, rows: int, new: int) -> tuple[Numbers, Numbers]:
    reference = Numbers.of(draw(rng, rows))
    return reference, Numbers.of(draw(rng, new), knots=reference.knots)


def unchanged(rng: np.random.Generator, rows: int, new: int) -> list[Subject]:
    """A table of eight columns of every sort, and a batch of the same."""
    numbers = [Subject(name, "column", *pair(rng, draw, rows, new)) for name, draw in DRAWS.items()]
    words = [Subject(f"words {k}", "column", mixed(rng, rows), mixed(rng, new)) for k in range(4)]
    return numbers + words
