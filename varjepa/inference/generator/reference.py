"""How far true cells lie from the median, measured on rows outside of training; gives the widths of intervals."""

import math

import numpy as np

from varjepa.config.base import Section


class Reference(Section):
    """Measurements of the generator on rows outside of training.

    Attributes:
        reach: per numeric feature, rising: 101 quantiles of the share of a cell's distribution around its median that
            it takes to reach the true value.
        rows: per numeric feature, the number of cells behind `reach`.
        surprise: per feature, rising negative log-densities of cells.
        tail: minus the log of the share of cells that are at least as surprising, per entry of `surprise`.
        patterns: one row each, a 1 for every missing feature; none where no cell is missing.
    """

    reach: tuple[tuple[float, ...], ...] = ()
    rows: tuple[int, ...] = ()
    surprise: tuple[tuple[float, ...], ...] = ()
    tail: tuple[float, ...] = ()
    patterns: tuple[str, ...] = ()


def conformal_reach(quantiles: tuple[float, ...], rows: int, level: float) -> float:
    """The reach that held in a share `level` of reference cells, corrected for their number; 1 where they are too few.

    Examples:
        >>> round(conformal_reach(tuple(k / 100 for k in range(101)), 99, 0.9), 3)
        0.909
    """
    # The rank ceil((n + 1) level) of split conformal prediction, as a share of the n cells; above 1 they are too few.
    corrected = math.ceil((rows + 1) * level) / rows if rows else 2.0
    return float(np.interp(corrected, np.linspace(0, 1, len(quantiles)), quantiles)) if corrected <= 1 else 1.0
