"""Bins of numeric columns in which few values hold most rows: amounts that are mostly 0, hours that are mostly 40."""

import numpy as np

SPIKED = 0.5
"""Share of the rows that common values hold at least, if a column is cut into bins. On columns without them bins make
the embedding worse where rows are few (docs/measured/sizes.md)."""


def spiked_bins(values: np.ndarray, n_bins: int) -> tuple[float, ...]:
    """Ends of the bins of a column, if it has spikes.

    A value that more than one in `n_bins` rows share is common. Common values are ends of bins; what is left of the
    bins holds about equally many of the other rows each. So no bin mixes a common value with its neighbours.

    Args:
        values: sample [N], finite.
        n_bins: at most this many bins; 0: none.

    Returns:
        Rising ends, at most `n_bins + 1`; none where common values hold less than `SPIKED` of the rows, or where there
        are at most two values, of which a line says everything.

    Examples:
        >>> spiked_bins(np.array([0.0] * 6 + [1.0, 2.0, 3.0, 4.0]), 3)
        (0.0, 1.0, 3.0, 4.0)
        >>> spiked_bins(np.arange(10.0), 3)
        ()
    """
    distinct, counts = np.unique(values, return_counts=True)
    common = counts * n_bins > len(values)
    if len(distinct) <= 2 or counts[common].sum() < SPIKED * len(values):
        return ()
    if len(distinct) <= n_bins + 1:
        return tuple(distinct.tolist())
    others = np.repeat(distinct[~common], counts[~common])
    # There are fewer common values than bins, so at least two ends are left for the others.
    levels = np.linspace(0.0, 1.0, n_bins + 1 - int(common.sum()))
    ends = np.union1d(distinct[common], np.quantile(others, levels, method="nearest"))
    return tuple(ends.tolist())
