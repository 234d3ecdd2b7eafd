"""What came of the predictions and promises of a model, now that labels are known."""

from typing import Literal, NamedTuple

import numpy as np

from varjepa.amounts import counted, share
from varjepa.evaluation.accuracy_estimate import EstimatedAccuracy
from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.uncertainty.calibration import expected_calibration_error
from varjepa.evaluation.uncertainty.intervals import independent_rows, wilson
from varjepa.evaluation.uncertainty.metrics import regression_metrics

Verdict = Literal["held", "broken", "open"]


class Outcomes(NamedTuple):
    """Predictions for labelled rows, and what was said of them.

    Attributes:
        correct: whether the prediction was right [N]; for a numeric label, within the certificate's tolerance, or None
            without a certificate.
        confidence: probability of the predicted class [N]; None for a numeric label.
        error: prediction minus label [N]; None for classes.
        label: values [N] of a numeric label; None for classes.
        accepted: whether the certificate accepted the row [N]; None without a certificate.
        covered: whether the interval or set held the label [N]; None without them.
        clusters: number of each row's cluster [N], from 0; None where every row is independent.
    """

    correct: Bools | None
    confidence: Floats | None = None
    error: Floats | None = None
    label: Floats | None = None
    accepted: Bools | None = None
    covered: Bools | None = None
    clusters: Ints | None = None


class Promise(NamedTuple):
    """A promise about a share of rows, and what came of it.

    Attributes:
        name: certificate, coverage or estimate.
        promised: at least this share; for an estimate, the estimate.
        measured: the share.
        low: lower end of the 95% interval of the share.
        high: upper end.
        rows: that it rests on.
        verdict: held, if at least as much as promised was measured; broken, if the interval lies below the promise;
            open, if less was measured, which may be chance. An estimate held if its interval has the measured accuracy.
    """

    name: str
    promised: float
    measured: float
    low: float
    high: float
    rows: int
    verdict: Verdict

    @property
    def sentence(self) -> str:
        """In words."""
        names = {"certificate": "accepted rows that are right", "coverage": "labels inside their interval or set"}
        what = names.get(self.name, "estimated accuracy")
        measured = f"{share(self.measured)} ({share(self.low)} to {share(self.high)}) of {counted(self.rows, 'row')}"
        return f"{what}: promised {share(self.promised)}, measured {measured}: {self.verdict}"


def outcome_metrics(outcomes: Outcomes) -> dict[str, float]:
    """Accuracy and calibration error, or RMSE and R2; the share of accepted rows; the coverage of intervals or sets."""
    metrics: dict[str, float] = {}
    if outcomes.confidence is not None and outcomes.correct is not None:
        metrics["accuracy"] = float(outcomes.correct.mean())
        metrics["ece"] = expected_calibration_error(outcomes.confidence, outcomes.correct)
    if outcomes.error is not None and outcomes.label is not None:
        metrics |= regression_metrics(outcomes.label + outcomes.error, outcomes.label)
    if outcomes.accepted is not None:
        metrics["accepted"] = float(outcomes.accepted.mean())
    if outcomes.covered is not None:
        metrics["coverage"] = float(outcomes.covered.mean())
    return metrics


def judged(name: str, held: Bools, promised: float, clusters: Ints | None) -> Promise:
    """A promise about a share of rows [N], N at least 1."""
    measured = float(held.mean())
    low, high = wilson(measured, max(1.0, independent_rows(held.astype(np.float64), clusters)))
    verdict: Verdict = "held" if measured >= promised else "broken" if high < promised else "open"
    return Promise(name, promised, measured, low, high, len(held), verdict)


def promises_of(
    outcomes: Outcomes, *, certified: float | None, level: float | None, estimate: EstimatedAccuracy | None
) -> list[Promise]:
    """Every promise that the model has made about these rows.

    Args:
        outcomes: of labelled rows.
        certified: share of accepted rows that the certificate promises to be right.
        level: coverage of intervals or sets.
        estimate: of the accuracy, made without labels.
    """
    promises, clusters = [], outcomes.clusters
    accepted = outcomes.accepted
    if certified is not None and accepted is not None and outcomes.correct is not None and accepted.any():
        part = None if clusters is None else clusters[accepted]
        promises.append(judged("certificate", outcomes.correct[accepted], certified, part))
    if level is not None and outcomes.covered is not None:
        promises.append(judged("coverage", outcomes.covered, level, clusters))
    if estimate is not None and outcomes.correct is not None and outcomes.confidence is not None:
        found = judged("estimate", outcomes.correct, estimate.accuracy, clusters)
        inside = estimate.low <= found.measured <= estimate.high
        promises.append(found._replace(verdict="held" if inside else "broken"))
    return promises
