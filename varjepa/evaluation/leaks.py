"""Features that predict the label alone: often the label in other words, or a value that is known only after it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

BINS = 256
"""Numbers are cut into at most this many bins with as many training rows each."""

LEAK = 0.9
"""A feature that takes away more than this share of the label's uncertainty on unseen rows is named."""

ALL_ROWS = 0.1
"""Weight of all rows in what a bin predicts, where a row of the bin weighs 1."""

FEWEST_ROWS = 20
"""Fewer rows of a part show nothing."""


def leaks(
    train: Mapping[str, NDArray[np.float64]],
    held: Mapping[str, NDArray[np.float64]],
    labels: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    classes: int,
) -> dict[str, float]:
    """Features that predict the label (nearly) alone, with the share of its uncertainty that each takes away.

    Each feature is cut into bins, and training rows say what each bin predicts. For classes the share is the mutual
    information as a share of the label's entropy, estimated by the log-likelihood of the other rows; for numbers it is
    R2.

    Args:
        train: feature -> values of training rows [n], codes of categories or numbers, NaN where missing.
        held: the same features of rows that are not for training [m].
        labels: of both, class numbers or values, all finite and known.
        classes: number of classes; 0 for numbers.
    """
    if min(map(len, labels)) < FEWEST_ROWS:
        return {}
    score = _class_share if classes else _number_share
    shares = {name: score(_bins(values, held[name]), labels, classes) for name, values in train.items()}
    return {name: share for name, share in shares.items() if share > LEAK}


def _bins(train: NDArray[np.float64], held: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """The bin of each value of both, and the number of bins; missing values have their own."""
    present = train[~np.isnan(train)]
    distinct = np.unique(present)
    # Few values are bins of their own, so that categories stay apart.
    ends = distinct if len(distinct) <= BINS else np.unique(np.quantile(present, np.arange(1, BINS) / BINS))
    bins = [np.where(np.isnan(values), len(ends) + 1, np.searchsorted(ends, values)) for values in (train, held)]
    return bins[0], bins[1], len(ends) + 2


def _class_share(
    bins: tuple[NDArray[np.intp], NDArray[np.intp], int],
    labels: tuple[NDArray[np.float64], NDArray[np.float64]],
    classes: int,
) -> float:
    train, held, size = bins
    y, y_held = (values.astype(int) for values in labels)
    prior = (np.bincount(y, minlength=classes) + 1.0) / (len(y) + classes)
    counts = np.zeros((size, classes))
    np.add.at(counts, (train, y), 1.0)
    # A bin without rows predicts what all rows do; with rows, all rows together weigh little.
    chances = (counts + ALL_ROWS * prior) / (counts.sum(1, keepdims=True) + ALL_ROWS)
    entropy = -np.log(prior[y_held]).mean()
    return float(1 + np.log(chances[held, y_held]).mean() / entropy) if entropy > 0 else 0.0


def _number_share(
    bins: tuple[NDArray[np.intp], NDArray[np.intp], int],
    labels: tuple[NDArray[np.float64], NDArray[np.float64]],
    _classes: int,
) -> float:
    train, held, size = bins
    y, y_held = labels
    sums, rows = np.bincount(train, weights=y, minlength=size), np.bincount(train, minlength=size)
    means = (sums + ALL_ROWS * y.mean()) / (rows + ALL_ROWS)
    variance = y_held.var()
    return float(1 - np.square(y_held - means[held]).mean() / variance) if variance > 0 else 0.0
