"""Order statistics of a column from a stream, in bounded memory."""

from collections.abc import Sequence
from typing import Any

import polars as pl

SAMPLE_ROWS = 100_000
"""About so many rows tell where order statistics are to be looked for."""

NEAR = 0.01
"""Share of all rows on either side of where the sample has an order statistic: six standard errors or more."""


def order_statistics(column: pl.LazyFrame, ranks: Sequence[int], rows: int) -> list[Any]:
    """The values that have these ranks when a column is sorted: exact, without holding more than a few percent of it.

    Evenly spaced rows tell between which values to look. Where they mislead, as they may where the column has their
    period, all of its different values are held.

    Args:
        column: a single column, without missing values.
        ranks: at least 0, below `rows`.
        rows: of the column.

    Examples:
        >>> order_statistics(pl.LazyFrame({"x": [5, 1, 4, 4, 2]}), [0, 2, 3], 5)
        [1, 4, 4]
    """
    value = pl.nth(0)
    sample = column.gather_every(max(1, rows // SAMPLE_ROWS)).collect(engine="streaming").to_series().sort()
    reach, last = int(NEAR * len(sample)) + 1, len(sample) - 1
    places = [rank * len(sample) // rows for rank in ranks]
    ends = [(sample[max(0, place - reach)], sample[min(last, place + reach)]) for place in places]
    below = column.select((value < low).sum().alias(str(n)) for n, (low, _) in enumerate(ends))
    found = []
    for rank, (low, high), before in zip(ranks, ends, below.collect(engine="streaming").row(0), strict=True):
        for near, start in ((column.filter(value.is_between(low, high)), before), (column, 0)):
            counts = near.group_by(value.alias("value")).len().collect(engine="streaming").sort("value")
            place = int(counts["len"].cum_sum().search_sorted(rank - start, side="right"))
            if rank >= start and place < counts.height:
                found.append(counts["value"][place])
                break
    return found
