"""Which epoch to keep."""

import math
from collections.abc import Sequence


def selected_epoch(history: Sequence[dict[str, float]], tie_share: float, tie_break: str) -> int | None:
    """The epoch to keep: the best score, and among scores that tie with it the best value of another metric.

    A probe tells epochs apart by a few rows of a validation part, long after it has stopped improving; the ELBO, say,
    goes on to tell which of them has learned more of the table.

    Args:
        history: metrics of the epochs so far; those without an evaluation are passed over.
        tie_share: scores within this share of the best one tie with it.
        tie_break: the other metric; larger is better, and epochs without it come last.

    Returns:
        Number of the epoch; None where no score is finite.

    Examples:
        >>> epochs = [(-0.500, -3.0), (-0.501, -2.0), (-0.6, -1.0)]
        >>> selected_epoch([{"selection/score": s, "elbo": e} for s, e in epochs], 0.005, "elbo")
        1
    """
    scores = {epoch: metrics.get("selection/score", math.nan) for epoch, metrics in enumerate(history)}
    finite = {epoch: score for epoch, score in scores.items() if math.isfinite(score)}
    if not finite:
        return None
    top = max(finite.values())
    ties = [epoch for epoch, score in finite.items() if score >= top - tie_share * abs(top)]
    return max(ties, key=lambda epoch: (history[epoch].get(tie_break, -math.inf), finite[epoch]))
