"""Selective prediction: how accuracy rises as the least certain rows are left out.

Uncertainty is larger = less sure throughout; rows of equal uncertainty share their expected order.
"""

from typing import NamedTuple

import numpy as np

from varjepa.evaluation.arrays import Bools, Floats
from varjepa.evaluation.auroc import auroc


class RiskCoverage(NamedTuple):
    """Selective risk at every coverage.

    Attributes:
        coverage: [N], shares of rows kept, from 1/N to 1.
        risk: [N], mean loss among the rows kept.
    """

    coverage: Floats
    risk: Floats


def risk_coverage(uncertainty: Floats, loss: Floats) -> RiskCoverage:
    """The risk-coverage curve.

    Args:
        uncertainty: [N], any scale.
        loss: [N], 1 for an error and 0 otherwise, or any non-negative loss.

    Examples:
        >>> risk_coverage(np.array([0.1, 0.9]), np.array([0.0, 1.0])).risk.tolist()
        [0.0, 0.5]
    """
    order = np.argsort(uncertainty, kind="stable")  # [N], surest row first
    kept = np.arange(1, len(loss) + 1)  # [N], rows kept at each coverage
    return RiskCoverage(kept / len(loss), np.cumsum(_tie_means(uncertainty[order], loss[order])) / kept)


def _tie_means(sorted_uncertainty: Floats, loss: Floats) -> Floats:
    """Gives every row of a tie the tie's mean loss: the expectation over orders within it."""
    _, start, counts = np.unique(sorted_uncertainty, return_index=True, return_counts=True)  # [ties], each
    # In sorted rows a tie is a run from `start`: sums per run, spread over its rows again.
    return np.repeat(np.add.reduceat(loss, start) / counts, counts)


def aurc(curve: RiskCoverage) -> float:
    """Area under the risk-coverage curve: mean of the selective risks over all coverages; smaller is better."""
    return float(curve.risk.mean())


def excess_aurc(curve: RiskCoverage, loss: Floats) -> float:
    """AURC minus that of the best possible order (E-AURC); 0 is perfect ranking, whatever the accuracy."""
    return aurc(curve) - aurc(oracle(loss))


def augrc(curve: RiskCoverage) -> float:
    """Area under the generalised risk-coverage curve: mean over coverages of (loss so far) / N; smaller is better.

    Unlike AURC it does not weigh errors among the surest rows more than others.

    References:
        Traub et al. 2024, "Overcoming common flaws in the evaluation of selective classification systems".

    Examples:
        >>> augrc(risk_coverage(np.array([0.1, 0.9]), np.array([0.0, 1.0])))
        0.25
    """
    return float((curve.risk * curve.coverage).mean())


def oracle(loss: Floats) -> RiskCoverage:
    """The best possible curve: losses in rising order."""
    return risk_coverage(loss, loss)


def risk_at(curve: RiskCoverage, coverage: float) -> float:
    """Risk among the `coverage` share of rows that are surest (at least one row)."""
    return float(curve.risk[max(1, round(coverage * len(curve.risk))) - 1])


def surest(uncertainty: Floats, share: float) -> Floats:
    """1 for the surest rows, this share of all [N], 0 for the others; rows that tie at the edge share what is left.

    Args:
        uncertainty: [N], any scale.
        share: in (0, 1].

    Examples:
        >>> surest(np.array([0.1, 0.2, 0.3, 0.3]), 0.8).tolist()
        [1.0, 1.0, 0.6, 0.6]
    """
    edge = np.quantile(uncertainty, share, method="higher")  # the uncertainty of a row, not one between rows
    below, ties = uncertainty < edge, uncertainty == edge
    return below + ties * ((share * len(uncertainty) - below.sum()) / ties.sum()).round(12)


def selective_metrics(uncertainty: Floats, error: Bools) -> dict[str, float]:
    """Accuracy at 90, 80 and 50% coverage, AURC, E-AURC, AUGRC and failure AUROC of one uncertainty measure."""
    loss = error.astype(np.float64)
    curve = risk_coverage(uncertainty, loss)
    accuracies = {f"accuracy_{percent}": 1 - risk_at(curve, percent / 100) for percent in (90, 80, 50)}
    areas = {"aurc": aurc(curve), "e_aurc": excess_aurc(curve, loss), "augrc": augrc(curve)}
    return accuracies | areas | {"failure_auroc": auroc(uncertainty, error)}
