"""Calibration: whether probabilities and latent distributions mean what they say."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, ndtr

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


def adaptive_calibration_error(confidence: Floats, correct: NDArray[np.bool_], n_bins: int = 15) -> float:
    """ECE over bins of equally many rows, in [0, 1]: no bin is empty or decided by a handful of rows."""
    order = np.argsort(confidence, kind="stable")
    gaps = (confidence - correct)[order]
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, min(n_bins, len(gaps)))) / max(len(gaps), 1))


def brier_score(probabilities: Floats, labels: NDArray[np.int64]) -> float:
    """Mean squared distance of class probabilities [N, C] from the truth, summed over classes; in [0, 2]."""
    return float(np.square(probabilities - np.eye(probabilities.shape[1])[labels]).sum(1).mean())


def negative_log_likelihood(probabilities: Floats, labels: NDArray[np.int64]) -> float:
    """Mean of -log of the probability given to the true class, nats."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())


def fit_temperature(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The divisor of logits [N, C] whose probabilities fit held-out labels best (Guo et al. 2017); predictions stay.

    Without rows it is 1.
    """
    if not len(labels):
        return 1.0
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def recalibrated(pit: Floats, known: Floats) -> Floats:
    """PIT values [N] sent through the distribution of other PIT values [M] (Kuleshov et al. 2018)."""
    return np.searchsorted(np.sort(known), pit, side="right") / max(len(known), 1)


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
