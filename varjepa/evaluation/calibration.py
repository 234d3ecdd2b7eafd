"""Calibration: whether probabilities and latent distributions mean what they say."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]


class Reliability(NamedTuple):
    """Confidence against accuracy in equal-width bins; empty bins are left out.

    Attributes:
        confidence: [bins], mean confidence.
        accuracy: [bins], share of correct rows.
        rows: [bins], how many.
    """

    confidence: Floats
    accuracy: Floats
    rows: NDArray[np.int64]


def reliability(confidence: Floats, correct: NDArray[np.bool_], n_bins: int = 15) -> Reliability:
    """Bins rows by confidence.

    Args:
        confidence: [N] in [0, 1], probability given to the predicted class.
        correct: [N].
        n_bins: number of bins of equal width.
    """
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    count = np.bincount(bins, minlength=n_bins)
    used = count > 0
    mean_confidence = np.bincount(bins, confidence, n_bins)[used] / count[used]
    accuracy = np.bincount(bins, correct.astype(np.float64), n_bins)[used] / count[used]
    return Reliability(mean_confidence, accuracy, count[used])


def expected_calibration_error(bins: Reliability) -> float:
    """ECE in [0, 1]: gap between confidence and accuracy, weighted by rows.

    Examples:
        >>> expected_calibration_error(reliability(np.array([1.0, 1.0]), np.array([True, False])))
        0.5
    """
    return float(np.abs(bins.confidence - bins.accuracy) @ bins.rows / bins.rows.sum())


def pit_values(residuals: Floats) -> Floats:
    """Probability integral transform of standardised residuals under N(0, 1); uniform where calibrated."""
    return ndtr(residuals)


def ks_uniform(values: Floats) -> float:
    """Kolmogorov-Smirnov distance in [0, 1] between values in [0, 1] and the uniform distribution.

    Examples:
        >>> ks_uniform(np.array([0.5]))
        0.5
    """
    ordered, n = np.sort(values.ravel()), values.size
    steps = np.arange(n)
    return float(max(((steps + 1) / n - ordered).max(), (ordered - steps / n).max()))
