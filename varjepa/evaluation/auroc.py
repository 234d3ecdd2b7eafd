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
    from sklearn.metrics import roc_auc_score

    if positive.all() or not positive.any():
        return float("nan")
    # Ranks instead of scores: scikit-learn refuses infinite ones.
    ranks = np.unique(scores, return_inverse=True)[1]  # [N]
    return float(roc_auc_score(positive, ranks))
