"""Knots of piecewise-linear maps from values to normal scores."""

import numpy as np
from scipy.special import ndtri


def normal_scores(values: np.ndarray, n_quantiles: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots of a piecewise-linear map from values to standard normal scores.

    Equal values share the score of the middle of their ranks.

    Args:
        values: sample, at least one value.
        n_quantiles: at most this many knots, evenly spaced over the ranks.

    Returns:
        (knots, scores), both strictly increasing and of equal length.

    Examples:
        >>> normal_scores(np.array([0.0, 0.0, 1.0, 1.0]), 8)[0]
        (0.0, 1.0)
    """
    distinct, counts = np.unique(values, return_counts=True)
    # Middle of the ranks of each distinct value, as a share of all rows in (0, 1).
    middle = (np.cumsum(counts) - 0.5 * counts) / len(values)
    if len(distinct) > n_quantiles:
        picks = np.searchsorted(middle, np.linspace(middle[0], middle[-1], n_quantiles))
        # Frequent values attract several picks; each is used once.
        picks = np.unique(np.clip(picks, 0, len(distinct) - 1))
        distinct, middle = distinct[picks], middle[picks]
    return tuple(distinct.astype(float).tolist()), tuple(ndtri(middle).tolist())
