"""Metrics of one task from outputs and labels, named as users find them."""

from typing import NamedTuple

import numpy as np

from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.uncertainty.calibration import (
    Reliability,
    adaptive_calibration_error,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)
from varjepa.evaluation.uncertainty.selective import selective_metrics


class Classified(NamedTuple):
    """What a probe says about labelled rows.

    Attributes:
        probabilities: [N, C].
        labels: class numbers [N], below C.
    """

    probabilities: Floats
    labels: Ints

    @classmethod
    def of(cls, probabilities: Floats, labels: Ints) -> "Classified":
        """Of rows some of whose classes the probe may not know: to these it gives a probability of 0.

        Args:
            probabilities: [N, C].
            labels: class numbers [N]; C stands for every class that the probe does not know.
        """
        if labels.max(initial=0) < probabilities.shape[1]:
            return cls(probabilities, labels)
        return cls(np.column_stack([probabilities, np.zeros(len(labels))]), labels)

    @property
    def predicted(self) -> Ints:
        """Most probable class [N]."""
        return self.probabilities.argmax(1)

    @property
    def error(self) -> Bools:
        """Whether the prediction is wrong [N]."""
        return self.predicted != self.labels

    @property
    def msp_uncertainty(self) -> Floats:
        """1 - maximum probability [N]; larger = less sure."""
        return 1 - self.probabilities.max(1)

    @property
    def reliability(self) -> Reliability:
        """Confidence against accuracy."""
        return reliability(self.probabilities.max(1), ~self.error)


def classification_metrics(result: Classified) -> dict[str, float]:
    """Accuracy, balanced accuracy, weighted and macro F1."""
    from sklearn.metrics import balanced_accuracy_score, f1_score

    labels, predicted = result.labels, result.predicted
    present = np.unique(labels)  # a class that is predicted only would count as one with an F1 of 0
    return {
        "accuracy": float((~result.error).mean()),
        "balanced_accuracy": float(balanced_accuracy_score(labels, predicted)),
        "f1_weighted": float(f1_score(labels, predicted, average="weighted", labels=present, zero_division=0)),
        "f1_macro": float(f1_score(labels, predicted, average="macro", labels=present, zero_division=0)),
    }


def regression_metrics(predicted: Floats, values: Floats) -> dict[str, float]:
    """Root mean squared error and R2."""
    from sklearn.metrics import r2_score, root_mean_squared_error

    return {
        "rmse": float(root_mean_squared_error(values, predicted)),
        "r2": float(r2_score(values, predicted)) if len(values) > 1 else float("nan"),
    }


def brier_score(probabilities: Floats, labels: Ints) -> float:
    """Mean squared distance of class probabilities [N, C] from the truth, summed over classes; in [0, 2].

    Two classes are treated like more: their score is twice that which scikit-learn gives for one column.
    """
    from sklearn.metrics import brier_score_loss

    classes = range(probabilities.shape[1])  # those that no row has, too
    return float(brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False))


def calibration_metrics(result: Classified) -> dict[str, float]:
    """ECE with bins of equal width and of equal size, Brier score, and negative log-likelihood in nats."""
    return {
        "ece": expected_calibration_error(result.probabilities.max(1), ~result.error),
        "ace": adaptive_calibration_error(result.probabilities.max(1), ~result.error),
        "brier": brier_score(result.probabilities, result.labels),
        "nll": negative_log_likelihood(result.probabilities, result.labels),
    }


def uncertainty_metrics(result: Classified, latent: Floats | None) -> dict[str, float]:
    """Selective prediction by latent uncertainty, where there is one, and by maximum probability; ECE of the probe."""
    # The second one is there for every kind of model, and on the same rows: what latents have to beat.
    measures = {"selective": latent, "selective_msp": result.msp_uncertainty}
    metrics = {
        f"{group}/{name}": value
        for group, uncertainty in measures.items()
        if uncertainty is not None
        for name, value in selective_metrics(uncertainty, result.error).items()
    }
    ece = expected_calibration_error(result.probabilities.max(1), ~result.error)
    return metrics | {"calibration/ece": ece}
