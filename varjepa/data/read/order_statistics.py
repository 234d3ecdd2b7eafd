"""Order statistics of a column from a stream, in bounded memory."""

from collections.abc import Sequence
from typing import Any

import polars as pl

SAMPLE_ROWS = 100_000
"""About this many sampled rows bracket each order statistic."""

NEAR = 0.01
"""The bracket reaches this share of the sample to either side: at least six standard errors of the rank."""


def order_statistics(column: pl.LazyFrame, ranks: Sequence[int], rows: int) -> list[Any]:
    """The exact values of a sorted column at these ranks, holding only a few percent of the column in memory.

    A sample of evenly spaced rows brackets each value. The sample may be misleading, for example if the column is
    periodic with the same period. Then all distinct values are held in memory instead.

    Args:
        column: a single column, without missing values.
        ranks: at least 0, below `rows`.
        rows: number of rows of the column.

    Examples:
        >>> order_statistics(pl.LazyFrame({"x": [5, 1, 4, 4, 2]}), [0, 2, 3], 5)
        [1, 4, 4]
    """
    value = pl.nth(0)
    sample = column.gather_every(max(1, rows // SAMPLE_ROWS)).collect(engine="streaming").to_series().sort()
    reach, last = int(NEAR * len(sample)) + 1, len(sample) - 1
    # Position of each rank in the sorted sample, then a bracket of `reach` sample values to either side.
    places = [rank * len(sample) // rows for rank in ranks]
    ends = [(sample[max(0, place - reach)], sample[min(last, place + reach)]) for place in places]
    # One pass counts the values below every bracket, so that ranks within a bracket are known.
    below = column.select((value < low).sum().alias(str(n)) for n, (low, _) in enumerate(ends))
    values = []
    for rank, (low, high), before in zip(ranks, ends, below.collect(engine="streaming").row(0), strict=True):
        # First only the values of the bracket; if the rank is not among them, the whole column.
        for part, start in ((column.filter(value.is_between(low, high)), before), (column, 0)):
            counts = part.group_by(value.alias("value")).len().collect(engine="streaming").sort("value")
            place = int(counts["len"].cum_sum().search_sorted(rank - start, side="right"))
            if rank >= start and place < counts.height:
                values.append(counts["value"][place])
                break
    return values
