"""Many tests, one error for all of them together."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: those of at most `a` are found with a chance of any false one of at most `a` (Holm 1979).

    Examples:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    p = np.array(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")  # [tests], the smallest p-value first
    adjusted = np.empty_like(p)
    # Times the number of hypotheses that are not smaller; no p-value may fall below a smaller one's.
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted.tolist()
