"""Certificates of each class: a promise for the accepted rows that are predicted as the class (Mondrian)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from varjepa.evaluation.arrays import Bools, Ints
from varjepa.evaluation.uncertainty.certificate import Certificate, RankedRows, certify


class PredictedClasses(NamedTuple):
    """Rows by their uncertainty, with what they are predicted as.

    Attributes:
        ranked: N rows.
        predicted: class numbers [N].
    """

    ranked: RankedRows
    predicted: Ints

    def of(self, rows: Bools) -> RankedRows:
        """Some of the rows, by their uncertainty."""
        ranked = self.ranked
        clusters = None if ranked.clusters is None else np.unique(ranked.clusters[rows], return_inverse=True)[1]
        return RankedRows(ranked.uncertainty[rows], ranked.correct[rows], clusters)


def certify_classes(
    calibration: PredictedClasses,
    other: PredictedClasses,
    classes: Sequence[str],
    *,
    accuracy: float,
    confidence: float,
    assumption: str = "",
) -> dict[str, Certificate]:
    """A certificate for each class. Each holds with its confidence; all together need not.

    The promise is made of rows that are predicted as the class, which is what a user of one answer knows.

    Args:
        calibration: rows that nothing else has looked at.
        other: other rows, which choose the thresholds.
        classes: names, by number.
        accuracy: promised share of right answers among accepted rows of a class.
        confidence: of each promise.
        assumption: of the promises, in words.
    """
    promise = {"accuracy": accuracy, "confidence": confidence}
    return {
        name: certify(
            calibration.of(calibration.predicted == number), other.of(other.predicted == number), **promise,
            assumption=assumption,
        )
        for number, name in enumerate(classes)
    }  # fmt: skip
