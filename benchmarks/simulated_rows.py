"""Simulated rows in clusters, such as those of customers, of which the truth is known."""

import numpy as np
from scipy.stats import norm

from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.bootstrap import cluster_numbers
from varjepa.evaluation.drift.dependence import Clustering, alike, alike_words
from varjepa.evaluation.drift.samples import Categories, Numbers
from varjepa.evaluation.drift.tests import Subject
from varjepa.evaluation.uncertainty.certificate import RankedRows

LEAST, MOST, POWER = 0.01, 0.4, 2.5
"""A row of uncertainty u in [0, 1] is wrong with probability LEAST + MOST u^POWER."""


def error_share(threshold: float) -> float:
    """Expected share of errors of the rows whose uncertainty is at most a threshold in (0, 1]."""
    return LEAST + MOST * threshold**POWER / (POWER + 1)


def ranked_rows(sizes: Ints, likeness: float, rng: np.random.Generator) -> RankedRows:
    """Rows with uncertainty and correctness.

    Args:
        sizes: rows of each cluster [K].
        likeness: correlation of the normal scores of a cluster's rows, of uncertainty and of errors, in [0, 1].
        rng: random numbers.
    """
    clusters = np.repeat(np.arange(len(sizes)), sizes)  # [N]
    own = rng.normal(size=(2, len(sizes)))[:, clusters]  # [2, N], the same in a cluster
    scores = norm.cdf(np.sqrt(likeness) * own + np.sqrt(1 - likeness) * rng.normal(size=own.shape))
    return RankedRows(scores[0], scores[1] >= LEAST + MOST * scores[0] ** POWER, cluster_numbers(clusters))


def columns_of_customers(
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
    rng = np.random.default_rng([seed, size])
    before, after = (_customers(size, likeness, customers, rng) for customers in (300, 200))
    numbers, words = list[Numbers](), list[Categories]()
    for (values, codes, clusters), moved in ((before, 0.0), (after, shift)):
        every_second = np.arange(len(values)) // size % 2  # [N], 1 for the rows of every second customer
        number = Numbers.of(values + moved * every_second, knots=numbers[0].knots if numbers else None)
        word = Categories(names=tuple("abcd"), counts=tuple(np.bincount(codes, minlength=4).tolist()))
        if clusters is not None and not independent:
            # How alike the rows of a customer are is known from the reference.
            number = number.clustered(alike(before[0], before[2]), clusters.size)
            word = word.clustered(alike_words(before[1], before[2]), clusters.size)
        numbers.append(number)
        words.append(word)
    return [Subject("number", "column", *numbers), Subject("words", "column", *words)]


def _customers(
    size: int, likeness: float, customers: int, rng: np.random.Generator
) -> tuple[Floats, Ints, Clustering | None]:
    """Values and categories of the rows of some customers."""
    own = rng.normal(size=(2, customers)).repeat(size, axis=1)
    scores = np.sqrt(likeness) * own + np.sqrt(1 - likeness) * rng.normal(size=own.shape)
    clusters = Clustering.of(np.arange(customers, dtype=np.uint64).repeat(size))
    return scores[0], np.searchsorted([-0.5, 0.5, 1.5], scores[1]), clusters
