"""Calibration: whether probabilities and latent distributions mean what they say."""

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax, ndtr

from varjepa.evaluation.arrays import Bools, Floats, Ints

N_BINS = 15

SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""Probability that a logarithm takes for 0, so that one row does not decide a mean: 87 nats. A row of a class that
training has not seen costs as much."""


class Reliability(NamedTuple):
    """Confidence against accuracy in equal-width bins; empty bins are left out.

    Attributes:
        confidence: [bins], mean confidence.
        accuracy: [bins], share of correct rows.
        rows: [bins], how many.
    """

    confidence: Floats
    accuracy: Floats
    rows: Ints


def reliability(confidence: Floats, correct: Bools, n_bins: int = N_BINS) -> Reliability:
    """Bins rows by confidence.

    Args:
        confidence: [N] in [0, 1], probability given to the predicted class.
        correct: [N].
        n_bins: number of bins of equal width.
    """
    bins = confidence_bins(confidence, n_bins)  # [N]
    count = np.bincount(bins, minlength=n_bins)  # [n_bins]
    used = count > 0
    mean_confidence = np.bincount(bins, confidence, n_bins)[used] / count[used]
    accuracy = np.bincount(bins, correct.astype(np.float64), n_bins)[used] / count[used]
    return Reliability(mean_confidence, accuracy, count[used])


def confidence_bins(confidence: Floats, n_bins: int = N_BINS) -> Ints:
    """The bin of equal width that each confidence [N] in [0, 1] lies in, from 0."""
    return np.minimum((confidence * n_bins).astype(np.int64), n_bins - 1)  # a confidence of 1 is in the last bin


def expected_calibration_error(confidence: Floats, correct: Bools, n_bins: int = N_BINS) -> float:
    """ECE in [0, 1]: gap between confidence and accuracy in bins of equal width, weighted by their rows.

    Args:
        confidence: [N] in [0, 1], probability given to the predicted class.
        correct: [N].
        n_bins: number of bins.

    Examples:
        >>> expected_calibration_error(np.array([1.0, 1.0]), np.array([True, False]))
        0.5
    """
    # A bin's share of the rows times its mean gap is its sum of gaps over N.
    gaps = np.bincount(confidence_bins(confidence, n_bins), confidence - correct, n_bins)
    return float(np.abs(gaps).sum() / len(confidence))


def adaptive_calibration_error(confidence: Floats, correct: Bools, n_bins: int = N_BINS) -> float:
    """ECE over bins of equally many rows, in [0, 1]: no bin is empty or decided by a handful of rows."""
    order = np.argsort(confidence, kind="stable")
    gaps = (confidence - correct)[order]  # [N]
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, min(n_bins, len(gaps)))) / max(len(gaps), 1))


def negative_log_likelihood(probabilities: Floats, labels: Ints) -> float:
    """Mean of -log of the probability given to the true class, nats.

    Probabilities below `SMALLEST_PROBABILITY` count as that. Not `sklearn.metrics.log_loss`, which raises to 2e-16:
    a class that a probe holds for impossible would cost 36 nats, however sure it was.
    """
    chosen = probabilities[np.arange(len(labels)), labels]  # [N]
    return float(-np.log(np.maximum(chosen, SMALLEST_PROBABILITY)).mean())


def smoothed_labels(labels: Ints, n_classes: int) -> Floats:
    """Probabilities [N, C] to fit instead of class numbers [N], as if about one of the rows had another (Platt 1999).

    Few rows may all be predicted rightly, and then no probability would be too sure.

    Examples:
        >>> smoothed_labels(np.array([1, 0]), 2).tolist()
        [[0.25, 0.75], [0.75, 0.25]]
    """
    wrong = 1 / (len(labels) + 2)
    targets = np.full((len(labels), n_classes), wrong / max(1, n_classes - 1))
    targets[np.arange(len(labels)), labels] = 1 - wrong
    return targets


SHARPER, SOFTER = 0.25, 1.0
"""Standard deviations of the logarithm of a temperature before any row is seen, below and above 1. Heads that are too
sure are common; of rows that are all predicted correctly nobody learns how much too unsure a head is."""


def fit_temperature(logits: Floats, labels: Ints) -> float:
    """The divisor of logits [N, C] whose probabilities fit held-out labels (Guo et al. 2017); predictions stay.

    NOTE[DIFF]: theirs has the greatest likelihood. Of few rows without an error that is the smallest divisor there is,
    which makes every answer certain. Ours is the most probable one, given that most heads need little of it (`SHARPER`,
    `SOFTER`); of hundreds of rows both are the same. Without rows it is 1.
    """
    if not len(labels):
        return 1.0
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(labels))

    # Searched on a logarithmic scale, between 1 / 20 and 20: the loss has one minimum there.
    def loss(log_temperature: float) -> float:
        surprise = -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].sum()
        deviations = log_temperature / (SHARPER if log_temperature < 0 else SOFTER)
        return float(surprise + deviations**2 / 2)

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def pit_values(residuals: Floats) -> Floats:
    """Probability integral transform of standardised residuals under N(0, 1); uniform where calibrated."""
    return ndtr(residuals)
