"""The area under the receiver operating characteristic."""

import numpy as np

from varjepa.evaluation.arrays import Bools, Floats


def auroc(scores: Floats, positive: Bools) -> float:
    """Probability that a positive row scores higher than a negative one (ties count half); NaN without both kinds.

    Args:
        scores: [N]; infinite ones have an order, too, and NaN is above all of them.
        positive: [N].

    Examples:
        >>> auroc(np.array([0.1, 0.2, 0.9]), np.array([False, False, True]))
        1.0
    """
    if positive.all() or not positive.any():
        return float("nan")
    # Ranks instead of scores, which may be infinite: positive and negative rows of each rank, from the highest.
    ranks = np.unique(scores, return_inverse=True)[1]  # [N]
    rows = np.stack([np.bincount(ranks[positive == kind], minlength=ranks.max() + 1) for kind in (True, False)])
    counts = np.pad(rows[:, ::-1].cumsum(1), ((0, 0), (1, 0)))  # [2, M + 1], above each threshold
    # Where the curve bends, as scikit-learn has it: the sum is the same to the last bit, in a tenth of the time.
    kept = np.ones(counts.shape[1], dtype=bool)
    kept[2:-1] = np.diff(counts[:, 1:], 2).any(0)
    true, false = counts[:, kept] / counts[:, -1:]
    return float(np.trapezoid(true, false))
