"""Calibration of the predictor by latent dimension, and what chance alone would show.

The dimensions of a row's latents depend on each other, and a row has several targets. Pooled over all of them, values
can look uniform where no single dimension is, and a test that takes them for independent means nothing. So distances
are measured per pair of feature and dimension, where a row counts once, and chance by exchanging whole rows. Values
also depend on the sizes of the masks, which a batch of rows shares: only rows of equal sizes are exchanged.
"""

from typing import NamedTuple

import numpy as np

from varjepa.evaluation.arrays import Bools, Floats, Ints

FEWEST = 2
"""A dimension needs this many values in both parts."""

EXCHANGES = 99
"""Random exchanges between the parts."""

LEVEL = 0.95
"""Quantile of a distance by chance that is reported."""


class PITDistances(NamedTuple):
    """Kolmogorov-Smirnov distances per pair of feature and latent dimension.

    Attributes:
        trained: [P], of the test rows' values from uniform.
        recalibrated: [P], after the map of the validation rows' values, fitted per pair.
        median_by_chance: of the recalibrated distances, where both parts are alike: the 95% quantile of their median.
        worst_by_chance: the same of the largest.
    """

    trained: Floats
    recalibrated: Floats
    median_by_chance: float
    worst_by_chance: float


def pit_distances(validation: Floats, test: Floats, *, seed: int) -> PITDistances | None:
    """Distances of PIT values from uniform, as they are and recalibrated by another part.

    Recalibration sends a value to the share of validation values below it (Kuleshov et al. 2018). The distance of the
    result from uniform is the two-sample distance of both parts. Exchanging the rows at a position, with all their
    values, for a random half of the positions shows what the distances would be by chance.

    Args:
        validation: PIT values [N, P] of pairs of feature and dimension, NaN where a feature is no target of a row.
        test: the same of other rows, which had masks of the same sizes in the same order; the longer part is cut.
        seed: of the exchanges.

    Returns:
        None where no pair has `FEWEST` values in both parts.
    """
    rows = min(len(validation), len(test))
    validation, test = validation[:rows], test[:rows]
    enough = np.minimum(np.isfinite(validation).sum(0), np.isfinite(test).sum(0)) >= FEWEST
    if not enough.any():
        return None
    pooled = np.concatenate([validation[:, enough], test[:, enough]]).T  # [P, 2 N]
    count = np.isfinite(pooled).sum(1)
    order = pooled.argsort(axis=1)[:, : count.max()]  # NaN last
    ordered = np.take_along_axis(pooled, order, axis=1)
    # Residuals far out have a PIT of 0 or 1: of equal values only the last is a place to compare at.
    tied = np.append(ordered[:, 1:] == ordered[:, :-1], np.zeros((len(order), 1), dtype=bool), axis=1)
    used = np.isfinite(ordered) & ~tied
    swapped = np.random.default_rng([seed, 97]).random((EXCHANGES + 1, rows)) < 0.5
    swapped[0] = False
    labels = np.concatenate([swapped, ~swapped], axis=1)  # which rows are test rows, in each exchange
    found, *chance = (_distances(is_test, order, count, used) for is_test in labels)
    median, worst = (float(np.quantile(values, LEVEL)) for values in (np.median(chance, 1), np.max(chance, 1)))
    return PITDistances(ks_per_column(test[:, enough]), found, median, worst)


def ks_per_column(values: Floats) -> Floats:
    """Kolmogorov-Smirnov distance from uniform of the numbers in each column of [N, P], NaN apart, [P].

    Examples:
        >>> ks_per_column(np.array([[0.5, 0.25], [np.nan, 0.75]])).tolist()
        [0.5, 0.25]
    """
    ordered = np.sort(values, axis=0)  # NaN last
    count = np.isfinite(values).sum(0)  # [P]
    place = np.arange(len(values))[:, None]
    with np.errstate(invalid="ignore"):
        gaps = np.maximum((place + 1) / count - ordered, ordered - place / count)
    return np.where(place < count, gaps, 0.0).max(0)


def _distances(is_test: Bools, order: Ints, count: Ints, used: Bools) -> Floats:
    """Two-sample distances [P] of the values of test rows and of the others.

    Args:
        is_test: which rows [2 N] are test rows.
        order: rows in the order of their values, pair by pair [P, n]; those without a value come last.
        count: how many entries of a pair's order have a value [P].
        used: entries behind which to compare [P, n].
    """
    place = np.arange(1, order.shape[1] + 1, dtype=np.float32)  # [n]: how many values there are up to here
    below = np.cumsum(is_test[order] & (place <= count[:, None]), axis=1, dtype=np.int32)  # [P, n]: those of test rows
    tests = below[:, -1:].astype(np.float32)
    others = count[:, None].astype(np.float32) - tests
    # below / tests - (place - below) / others, in one pass; an exchange may leave a pair without values in a part.
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = np.abs(below * (1 / tests + 1 / others) - place / others)
    return np.where((tests > 0) & (others > 0), np.where(used, gaps, 0.0), 1.0).max(1)
