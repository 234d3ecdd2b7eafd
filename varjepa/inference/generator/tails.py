"""Shares of reference values that are at least as large as a value: p-values, conservative and continuous.

A fresh value that is exchangeable with n reference values has the p-value (r + 1) / (n + 1), where r of them are at
least as large: it is at most alpha with probability at most alpha. The p-values here are never smaller.
"""

from functools import lru_cache

import numpy as np

from varjepa.evaluation.arrays import Bools, Floats, Ints

POINTS = 128
"""Reference values kept, evenly spaced in the logarithm of their rank: rare values are what must be told apart."""

STEP = 1e-3
"""Nats within which two values are equal: the same row in another batch differs by rounding."""


TINY = 30.0
"""Nats from which 1 - (1 - p)^m equals m p to the last digit."""


@lru_cache
def ranks(count: int) -> Ints:
    """Ranks of the values kept of `count`, rising; rank 1 is the largest value."""
    return np.unique(np.round(np.geomspace(1, count, POINTS)).astype(np.int64)) if count else np.zeros(0, np.int64)


def tail_points(values: Floats) -> tuple[float, ...]:
    """The reference values [N] to keep, rising."""
    descending = np.sort(np.round(values / STEP) * STEP)[::-1]
    return tuple(descending[ranks(len(values)) - 1][::-1].tolist())


def tail(values: Floats, points: tuple[float, ...], count: int) -> tuple[Floats, Floats]:
    """Where values [N] lie among `count` reference values.

    Args:
        values: fresh ones.
        points: of `tail_points`.
        count: of reference values behind them.

    Returns:
        Minus the log of the p-value, at most that of the largest reference value, log((count + 1) / 2); and how far the
        values lie beyond the largest one, >= 0. Both are 0 where there is no reference value.
    """
    if not count:
        return np.zeros(len(values)), np.zeros(len(values))
    # Two steps lower: a value that equals a reference value up to rounding must count as equal.
    lowered, kept = values - 2 * STEP, ranks(count)
    # Between two kept ranks the largest share that a value there may have; with all ranks kept it is exact.
    following = np.append(kept[1:], count)  # the next rank below
    bounds = np.where(following > kept + 1, following, kept) + 1  # r + 1 at each point
    known, first = np.unique(points, return_index=True)  # of equal values the one of the largest rank, which is first
    nats = np.log((count + 1) / np.minimum(bounds, count + 1))[::-1][first]
    return np.interp(lowered, known, nats), np.maximum(lowered - known[-1], 0.0)


def bounded(nats: Floats, beyond: Floats) -> Floats:
    """Minus the log of a p-value: beyond all reference values it rises to log(count + 1), and still ranks them."""
    return np.where(beyond > 0, nats + np.log(2) * beyond / (1 + beyond), nats)


def among_others(values: Floats) -> Floats:
    """Each reference value [N] as a fresh one would be scored among the others: `tail`, both results added up.

    Beside a fresh value there would be one more. It counts here as if it lay far below, which can only raise a score.
    So the share of these scores that reach a fresh value's own is not too small.
    """
    if len(values) < 2:
        return np.zeros(len(values))
    rising = np.sort(np.round(values / STEP) * STEP)
    own, count = np.round(values / STEP) * STEP, len(values)
    rank = count - np.searchsorted(rising, own, side="left")  # [N]: values at least as large, itself among them
    above = rising[np.minimum(count - rank + 1, count - 1)]  # the next of the others; meaningless at rank 1
    below = rising[np.maximum(count - rank - 1, 0)]
    width = np.where(above > below, above - below, 1.0)
    place = np.where(above > below, np.clip((own - below) / width, 0, 1), 1.0)
    nats = -np.log((rank + 1) / (count + 1)) + place * np.log((rank + 1) / rank)
    beyond = np.log((count + 1) / 2) + own - rising[-2]
    return np.where(rank == count, 0.0, np.where(rank == 1, beyond, nats))


def of_rows(nats: Floats, observed: Bools) -> Floats:
    """One score per row [N]: that of its oddest cell, corrected for the number of cells.

    Minus the log of Sidak's p-value of the smallest of m independent ones, so that rows with and without gaps compare.
    It is a score and not yet a p-value, as the cells of a row are not independent.

    Args:
        nats: of cells [N, D].
        observed: which count, [N, D].
    """
    largest, count = np.where(observed, nats, 0.0).max(1, initial=0.0), observed.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        sidak = -np.log(-np.expm1(count * np.log1p(-np.exp(-largest))))  # of p = 1 it is 0
    # Of a tiny p it is m p; the logarithm of that does not need p itself, which may be below any float.
    scores = np.where(largest > TINY, largest - np.log(np.maximum(count, 1)), np.maximum(sidak, 0.0))
    return np.where(count > 0, scores, 0.0)
