"""Knots of piecewise-linear maps from values to normal scores."""

import numpy as np
from scipy.special import ndtri


def normal_scores(values: np.ndarray, n_quantiles: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots of a piecewise-linear map from values to standard normal scores.

    Ties share the score of the middle of their ranks, so that a pile of equal values lies at its own centre.

    Args:
        values: sample, at least one value.
        n_quantiles: at most this many knots, spread evenly over the ranks.

    Returns:
        (knots, scores), both strictly increasing and of one length.

    Examples:
        >>> normal_scores(np.array([0.0, 0.0, 1.0, 1.0]), 8)[0]
        (0.0, 1.0)
    """
    distinct, counts = np.unique(values, return_counts=True)
    middle = (np.cumsum(counts) - 0.5 * counts) / len(values)
    if len(distinct) > n_quantiles:
        picks = np.searchsorted(middle, np.linspace(middle[0], middle[-1], n_quantiles))
        picks = np.unique(np.clip(picks, 0, len(distinct) - 1))
        distinct, middle = distinct[picks], middle[picks]
    return tuple(distinct.astype(float).tolist()), tuple(ndtri(middle).tolist())
