"""Simulated columns of every sort, as counts."""

import numpy as np

from varjepa.config.operations import DriftSection
from varjepa.evaluation.drift.dependence import Clustering, alike, alike_words
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


def of_customers(
    size: int, likeness: float, seed: int, *, shift: float = 0.0, independent: bool = False
) -> list[Subject]:
    """A number and a category of customers with `size` rows each: 300 customers in the reference, 200 in the batch.

    Args:
        size: rows of a customer.
        likeness: correlation of the normal scores of a customer's rows.
        seed: of the draw.
        shift: of the numbers of every second new customer.
        independent: whether the rows are taken for independent ones, which they are not.
    """
    rng, samples = np.random.default_rng([seed, size]), []
    for customers in (300, 200):
        clusters = Clustering.of(np.repeat(np.arange(customers, dtype=np.uint64), size))
        numbers = np.repeat(np.arange(customers), size)
        own = rng.normal(size=(2, customers))[:, numbers]
        scores = np.sqrt(likeness) * own + np.sqrt(1 - likeness) * rng.normal(size=own.shape)
        values, codes = scores[0], np.searchsorted([-0.5, 0.5, 1.5], scores[1])
        if samples:
            values = values + shift * (numbers % 2)
        known = samples[0][0].knots if samples else None
        number = Numbers.of(values, knots=known)
        words = Categories(names=tuple("abcd"), counts=tuple(np.bincount(codes, minlength=4).tolist()))
        if clusters is not None and not independent:
            number = number.clustered(alike(values, clusters), clusters.size)
            words = words.clustered(alike_words(codes, clusters), clusters.size)
            if samples:  # how alike the rows of a customer are is known from the reference
                number, words = (
                    new.clustered(before.alike, new.cluster_rows)
                    for new, before in zip((number, words), samples[0], strict=True)
                )
        samples.append((number, words))
    (number, words), (new_number, new_words) = samples
    return [Subject("number", "column", number, new_number), Subject("words", "column", words, new_words)]
