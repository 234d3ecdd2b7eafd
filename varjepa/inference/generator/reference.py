"""Measurements of a generator on rows outside of training: widths of intervals, surprise of cells, oddity of rows."""

import math

import numpy as np

from varjepa.config.base import Facts


class Reference(Facts):
    """Measurements of the generator on rows outside of training.

    Attributes:
        reach: per numeric feature, rising: 101 quantiles of the share of a cell's distribution around its median that
            it takes to reach the true value.
        rows: per numeric feature, the number of cells behind `reach`.
        surprise: per feature, rising negative log-densities of observed cells (see `tails.tail_points`).
        cells: per feature, the number of observed cells behind `surprise`.
        row: rising scores of rows (see `tails.of_rows`).
        row_count: number of rows behind `row`.
        groupings: how many times the cells of a wide table are scored, each time hidden in other groups. 0: once, in
            groups by position, as in versions from before groups were drawn.
        tail: of versions that have no `cells`: minus the log of a share of all rows, per entry of `surprise`.
        patterns: one row each, a 1 for every missing feature; none where no cell is missing.
    """

    reach: tuple[tuple[float, ...], ...] = ()
    rows: tuple[int, ...] = ()
    surprise: tuple[tuple[float, ...], ...] = ()
    cells: tuple[int, ...] = ()
    row: tuple[float, ...] = ()
    row_count: int = 0
    groupings: int = 0
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
