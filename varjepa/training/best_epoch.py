"""Selection of the epoch whose weights are kept."""

import math
from collections.abc import Sequence


def selected_epoch(history: Sequence[dict[str, float]], tie_share: float, tie_break: str) -> int | None:
    """The epoch to keep: the best score, and among scores that tie with it the best value of another metric.

    Once a probe has stopped improving, its scores differ by a few validation rows only. Another metric, such as the
    ELBO, still shows which epoch has learned more of the table.

    Args:
        history: metrics of the epochs so far; epochs without an evaluation are skipped.
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
    # A share of the absolute value, as scores may be negative (log-likelihoods, minus squared errors).
    ties = [epoch for epoch, score in finite.items() if score >= top - tie_share * abs(top)]
    return max(ties, key=lambda epoch: (history[epoch].get(tie_break, -math.inf), finite[epoch]))
