"""A certificate: the largest set of rows whose accuracy is promised, by risk control on rows nothing else looked at.

Method: fixed-sequence testing of selective risk (Angelopoulos et al., "Learn then Test", arXiv 2110.01052), as MAPIE
implements it. Thresholds come from other rows and are tested from strict to permissive, until one fails.
"""

import logging
import math
import warnings
from typing import Literal

import numpy as np

from varjepa.config.base import Section
from varjepa.evaluation.arrays import Bools, Floats

N_THRESHOLDS = 100


class Certificate(Section):
    """What is promised of accepted rows.

    Attributes:
        kind: of the promise.
        accuracy: at least this share of accepted rows is predicted correctly,
        confidence: in at least this share of draws of the calibration rows.
        threshold: rows of at most this uncertainty are accepted; None where no threshold keeps the promise.
        coverage: share of the calibration rows that are accepted.
        rows: number of calibration rows.
        reason: what was found, in words.
    """

    kind: Literal["selective_accuracy"] = "selective_accuracy"
    accuracy: float
    confidence: float
    threshold: float | None
    coverage: float
    rows: int
    reason: str


def certify(uncertainty: Floats, correct: Bools, other: Floats, *, accuracy: float, confidence: float) -> Certificate:
    """Finds the most permissive threshold that keeps the promise.

    Args:
        uncertainty: of the calibration rows [N]; larger = less sure.
        correct: whether they are predicted correctly [N].
        other: uncertainty of other rows [M], from which candidate thresholds come.
        accuracy: promised for accepted rows, in (0, 1).
        confidence: of the promise, in (0, 1).
    """
    rows = len(uncertainty)
    promise = {"accuracy": accuracy, "confidence": confidence, "rows": rows}
    needed = math.ceil(math.log(1 - confidence) / math.log(accuracy))  # rows that say enough if all are right
    if rows < needed or not len(other):
        reason = f"{rows} calibration rows are too few: even without an error it takes {needed}"
        return Certificate(**promise, threshold=None, coverage=0.0, reason=reason)
    # The sequence ends at the first test that fails, so the first one should have the rows to bear an error or two.
    start = max(0.05, needed / rows, min(0.5, 5 * needed / rows))
    thresholds = np.unique(np.quantile(other, np.linspace(start, 1, N_THRESHOLDS)))
    kept = _tested(uncertainty, correct, thresholds, accuracy, confidence)
    if not kept:
        reason = f"no threshold keeps {accuracy:.1%} on accepted rows with {confidence:.0%} confidence"
        return Certificate(**promise, threshold=None, coverage=0.0, reason=reason)
    threshold = float(thresholds[kept - 1])
    coverage = float((uncertainty <= threshold).mean())
    reason = f"{coverage:.1%} of {rows} calibration rows are accepted"
    return Certificate(**promise, threshold=threshold, coverage=coverage, reason=reason)


def _tested(uncertainty: Floats, correct: Bools, thresholds: Floats, accuracy: float, confidence: float) -> int:
    """How many of the rising thresholds pass, one after the other."""
    from mapie.risk_control import BinaryClassificationController  # noqa: PLC0415 (costs a second, needed here alone)

    # A row's score is the number of thresholds that accept it: MAPIE compares scores with levels.
    score = (uncertainty[:, None] <= thresholds).sum(1) / (len(thresholds) + 1)
    levels = (len(thresholds) - np.arange(len(thresholds)) - 0.5) / (len(thresholds) + 1)
    controller = BinaryClassificationController(
        lambda scores: np.column_stack([1 - scores, scores]), risk="precision", target_level=accuracy,
        confidence_level=confidence, list_predict_params=levels, fwer_method="fixed_sequence",
        best_predict_param_choice="recall",
    )  # fmt: skip
    logger = logging.getLogger("mapie")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # accuracy over thresholds is never quite monotonic; the test is valid anyway
        logger.disabled = True
        controller.calibrate(score, correct.astype(int))
    return len(controller.valid_predict_params)
