"""The sign-flip test: were two models interchangeable, each difference could as well have the opposite sign."""

import numpy as np

from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.distributions import binomial_chances


def p_signs(differences: Floats) -> float:
    """Probability that whole numbers [N] with random signs have at most their sum; exact.

    For numbers of -1, 0 and 1 it is McNemar's test, one-sided.

    Examples:
        >>> p_signs(np.array([-1.0, -1.0, -1.0, 0.0])), p_signs(np.array([-2.0, 1.0]))
        (0.125, 0.5)
    """
    sizes, counts = np.unique(np.abs(differences[differences != 0]).astype(np.int64), return_counts=True)
    # Lost units of each size are binomial. Their distribution over lost rows is built up size by size.
    chances = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        spaced = np.zeros(size * count + 1)
        spaced[::size] = binomial_chances(count, 0.5)
        chances = np.convolve(chances, spaced)
    lost = round(float(-differences[differences < 0].sum()))
    return float(chances[lost:].sum())
