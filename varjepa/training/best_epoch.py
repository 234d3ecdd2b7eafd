"""Selection of the epoch whose weights are kept."""

import math
from collections.abc import Sequence


def newest_is_best(history: Sequence[dict[str, float]], kept: int | None, *, tie_share: float, tie_break: str) -> bool:
    """Whether the newest epoch is to be kept in place of the one that is kept so far.

    The one with the best score is, and among scores that tie with the best one of all epochs, that of the best value
    of another metric. Once a probe has stopped improving, its scores differ by a few validation rows only. Another
    metric, such as the ELBO, still shows which epoch has learned more of the table.

    Only one epoch's weights are kept, so no other epoch can come back, however good it was.

    Args:
        history: metrics of the epochs so far, the newest last; epochs without an evaluation are skipped.
        kept: number of the epoch whose weights are kept; None for none.
        tie_share: scores within this share of the best one tie with it.
        tie_break: the other metric; larger is better, and epochs without it come last.

    Examples:
        >>> epochs = [(-0.500, -3.0), (-0.501, -2.0), (-0.6, -1.0)]
        >>> history = [{"selection/score": s, "elbo": e} for s, e in epochs]
        >>> newest_is_best(history[:2], 0, tie_share=0.005, tie_break="elbo")
        True
        >>> newest_is_best(history, 1, tie_share=0.005, tie_break="elbo")
        False
    """
    scores = [_finite(metrics.get("selection/score")) for metrics in history]
    top, newest = max(scores), len(history) - 1
    # A share of the absolute value, as scores may be negative (log-likelihoods, minus squared errors).
    tied = [math.isfinite(score) and score >= top - tie_share * abs(top) for score in scores]
    if kept is None or not tied[newest] or not tied[kept]:
        return tied[newest]
    new, old = ((_finite(history[epoch].get(tie_break)), scores[epoch]) for epoch in (newest, kept))
    return new > old


def _finite(value: float | None) -> float:
    """The value; below all others where there is none."""
    return value if value is not None and math.isfinite(value) else -math.inf
