"""A certificate: the largest set of rows whose accuracy is promised, by risk control on rows nothing else looked at.

Method: fixed-sequence testing of selective risk (Angelopoulos et al., "Learn then Test", arXiv 2110.01052). Thresholds
come from other rows and are tested from strict to permissive, until one fails. The test allows for rows that belong
together (`varjepa.evaluation.uncertainty.error_share`).
"""

import math
from typing import Literal, NamedTuple

import numpy as np

from varjepa.amounts import amount, figure, share
from varjepa.config.base import Facts
from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.uncertainty.error_share import ClusterErrors, p_too_many_errors
from varjepa.visible import html_table

N_THRESHOLDS = 100
TRIED = 5
"""The sequence may start at every threshold of this number."""

STRICTEST = 0.05
"""The first threshold accepts at least this share of the rows that thresholds come from."""


class Certificate(Facts):
    """What is promised of accepted rows.

    Attributes:
        kind: of the promise: accepted rows are right (classes), or within a tolerance (numbers).
        tolerance: largest error of a number that counts as right, in units of the label; None for classes.
        accuracy: at least this share of accepted rows is predicted correctly,
        confidence: in at least this share of draws of the calibration rows.
        threshold: rows of at most this uncertainty are accepted; None where no threshold keeps the promise.
        coverage: share of the calibration rows that are accepted.
        rows: number of calibration rows.
        clusters: number of independent clusters of these rows; None where every row is independent.
        coverage_error: standard deviation of the coverage over draws of the calibration rows (see the function); None
            in certificates of older versions.
        reason: what was found, in words.
        assumption: under which the promise holds for new rows, in words; empty in certificates of older versions.
    """

    kind: Literal["selective_accuracy", "selective_error"] = "selective_accuracy"
    tolerance: float | None = None
    accuracy: float
    confidence: float
    threshold: float | None
    coverage: float
    rows: int
    clusters: int | None = None
    coverage_error: float | None = None
    reason: str
    assumption: str = ""

    @property
    def independent_rows(self) -> int:
        """What the promise rests on: the clusters of calibration rows, or the rows where each is independent."""
        return self.rows if self.clusters is None else self.clusters

    @property
    def promise(self) -> str:
        """What is promised of accepted rows, in a sentence."""
        if self.threshold is None:
            return f"None: {self.reason}."
        right = "right" if self.tolerance is None else f"within {amount(self.tolerance)}"
        sure = f"with {share(self.confidence, 0)} confidence"
        return (
            f"At least {share(self.accuracy)} of accepted rows are {right}, {sure}; "
            f"{share(self.coverage)} of the calibration rows are accepted."
        )

    def decision(self, right: str) -> str:
        """What is promised and why, or that nothing is, as a part of a sentence.

        Args:
            right: what is promised of accepted rows, such as "right" or "predicted to within 5".
        """
        sure = f"with {share(self.confidence, 0)} confidence"
        target = f"at least {share(self.accuracy)} of accepted rows {right}, {sure}"
        if self.threshold is None:
            return f"none, so no row is accepted; {target}, was asked for, but {self.reason}"
        return f"{target}, if {self.assumption}; {self.reason}"

    def _repr_html_(self) -> str:
        """The certificate in a notebook."""
        limit = None if self.threshold is None else figure(self.threshold)
        rest: dict[str, object] = {"calibration rows": f"{self.rows:,}", "accepted up to an uncertainty of": limit}
        rest |= {"clusters": self.clusters, "if": self.assumption or None}
        lines = [("promise", self.promise), *((name, value) for name, value in rest.items() if value is not None)]
        return html_table("Certificate", lines)


class RankedRows(NamedTuple):
    """Rows by their uncertainty.

    Attributes:
        uncertainty: [N], larger = less sure.
        correct: whether they are predicted correctly [N].
        clusters: cluster number of each row [N], from 0; None where every row is independent.
    """

    uncertainty: Floats
    correct: Bools
    clusters: Ints | None = None

    @property
    def largest(self) -> int:
        """Rows of the largest cluster."""
        return 1 if self.clusters is None else int(np.bincount(self.clusters).max(initial=1))

    def accepted(self, threshold: float) -> ClusterErrors:
        """Errors of the rows of at most this uncertainty, by cluster."""
        kept = self.uncertainty <= threshold
        return ClusterErrors.of(~self.correct[kept], None if self.clusters is None else self.clusters[kept])


def rows_needed(accuracy: float, confidence: float) -> int:
    """The fewest independent calibration rows that can show an accuracy, if all of them are predicted correctly.

    Args:
        accuracy: of accepted rows, in (0, 1).
        confidence: of the promise, in (0, 1).

    Examples:
        >>> rows_needed(0.95, 0.9), rows_needed(0.9, 0.9)
        (45, 22)
    """
    return math.ceil(math.log(1 - confidence) / math.log(accuracy))


def certify(
    calibration: RankedRows, other: RankedRows, *, accuracy: float, confidence: float, assumption: str = ""
) -> Certificate:
    """Finds the most permissive threshold that keeps the promise.

    Args:
        calibration: rows that nothing else has looked at.
        other: other rows, which choose the thresholds and the first one that is tested.
        accuracy: promised for accepted rows, in (0, 1).
        confidence: of the promise, in (0, 1).
        assumption: of the promise, in words, for the certificate.
    """
    rows, largest = len(calibration.correct), max(calibration.largest, other.largest)
    clusters = None if calibration.clusters is None or largest == 1 else len(np.unique(calibration.clusters))
    promise = {
        "accuracy": accuracy, "confidence": confidence, "rows": rows, "clusters": clusters, "assumption": assumption
    }  # fmt: skip
    what = f"{rows:,} calibration rows" + ("" if clusters is None else f" in {clusters:,} clusters")
    needed = rows_needed(accuracy, confidence)
    if (clusters or rows) < needed or not len(other.correct):
        unit = "rows" if clusters is None else "clusters"
        reason = f"{what} are too few: even without an error it takes {needed:,} {unit}"
        return Certificate(**promise, threshold=None, coverage=0.0, reason=reason)
    sequence = _Sequence.from_rows(other, largest=largest, most=1 - accuracy, needed=needed / rows)
    threshold = sequence.last_passed(calibration, 1 - confidence)
    if threshold is None:
        reason = f"no threshold keeps {share(accuracy)} on accepted rows with {share(confidence, 0)} confidence"
        return Certificate(**promise, threshold=None, coverage=0.0, reason=reason)
    coverage = float((calibration.uncertainty <= threshold).mean())
    return Certificate(
        **promise, threshold=threshold, coverage=coverage, reason=f"{share(coverage)} of {what} are accepted"
    )


def coverage_error(
    calibration: RankedRows, other: RankedRows, *, accuracy: float, confidence: float, resamples: int, seed: int = 0
) -> float:
    """How much the coverage of a certificate varies with the draw of its calibration rows.

    A threshold depends on few errors: two equally good models may differ by a tenth of all rows in what they accept.

    Args:
        calibration: as for `certify`.
        other: as for `certify`.
        accuracy: as for `certify`.
        confidence: as for `certify`.
        resamples: bootstrap resamples of the calibration rows, in whole clusters.
        seed: of the resamples.

    Returns:
        Standard deviation of the share of calibration rows that is accepted, in [0, 1].
    """
    rng, rows = np.random.default_rng(seed), len(calibration.correct)
    clusters = np.arange(rows) if calibration.clusters is None else calibration.clusters
    order, sizes = np.argsort(clusters, kind="stable"), np.bincount(clusters)
    starts, coverages = np.cumsum(sizes) - sizes, []
    for _ in range(resamples):
        drawn = rng.integers(len(sizes), size=len(sizes))
        # The rows of the drawn clusters, one cluster after the other; a cluster that is drawn twice is two clusters.
        number = np.repeat(np.arange(len(drawn)), sizes[drawn])
        within = np.arange(len(number)) - np.repeat(np.cumsum(sizes[drawn]) - sizes[drawn], sizes[drawn])
        picks = order[starts[drawn][number] + within]
        again = RankedRows(
            calibration.uncertainty[picks], calibration.correct[picks], None if calibration.clusters is None else number
        )
        threshold = certify(again, other, accuracy=accuracy, confidence=confidence).threshold
        coverages.append(0.0 if threshold is None else float((calibration.uncertainty <= threshold).mean()))
    return float(np.std(coverages))


class _Sequence(NamedTuple):
    """A fixed sequence of tests.

    Attributes:
        thresholds: rising [T].
        most: share of errors that is allowed.
        other: the rows that the thresholds come from.
    """

    thresholds: Floats
    most: float
    other: RankedRows

    @classmethod
    def from_rows(cls, other: RankedRows, *, largest: int, most: float, needed: float) -> "_Sequence":
        """Thresholds from rows that are not calibration rows.

        Args:
            other: the rows.
            largest: rows of the largest cluster.
            most: share of errors that is allowed.
            needed: share of the calibration rows that says enough if all of them are right and independent.
        """
        # The sequence ends at the first test that fails, so the first one should have the rows to bear an error or two.
        start = max(STRICTEST, needed, min(0.5, 5 * needed)) if largest == 1 else STRICTEST
        thresholds = np.unique(np.quantile(other.uncertainty, np.linspace(start, 1, N_THRESHOLDS)))
        sequence = cls(thresholds, most, other)
        if largest == 1:
            return sequence
        # How many rows of clusters say enough depends on how alike they are, which the other rows show: the sequence
        # starts where it passes most clearly there.
        first = int(np.argmin([sequence.p(other, float(threshold)) for threshold in thresholds[::TRIED]]))
        return sequence._replace(thresholds=thresholds[first * TRIED :])

    def last_passed(self, rows: RankedRows, level: float) -> float | None:
        """The last threshold before the first one that fails; None where that is the first of all."""
        passed = None
        for threshold in map(float, self.thresholds):
            if self.p(rows, threshold) > level:
                break
            passed = threshold
        return passed

    def p(self, rows: RankedRows, threshold: float) -> float:
        """P-value of what a threshold accepts."""
        accepted = rows.accepted(threshold)
        if not len(accepted.rows):
            return 1.0
        largest = max(accepted.rows.max(), self.other.accepted(threshold).rows.max(initial=1))
        return p_too_many_errors(accepted, self.most, int(largest))
