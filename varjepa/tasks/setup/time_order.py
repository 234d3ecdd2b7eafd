"""Tables whose rows stand in the order of time, such as logs: rows of one time may resemble each other."""

import json
from collections.abc import Mapping

import polars as pl

from varjepa.data.cells import column
from varjepa.data.read.column_profile import ColumnProfile

LOOKED_AT = 100_000
"""Rows at the start of a table that decide."""

FEWEST_TIMES = 20
"""With fewer different times, order may be chance, and parts by time would be uneven."""

WORDS = (
    "its rows stand in the order of time; if you will predict later rows, test on the newest ones with "
    "data.split: {{by: time, column: {name}}}, which also keeps the moment out of the features: later rows lie beyond"
)


def ordered_by_time(frame: pl.LazyFrame, profiles: Mapping[str, ColumnProfile]) -> dict[str, str]:
    """Columns of dates or moments that only rise, or only fall, from row to row -> what to say about them.

    Args:
        frame: the rows.
        profiles: of its columns.

    Examples:
        >>> from datetime import date, timedelta
        >>> rows = pl.DataFrame({"day": [date(2026, 1, 1) + timedelta(day) for day in range(30)]})
        >>> from varjepa.data.read.column_profile import profile
        >>> list(ordered_by_time(rows.lazy(), profile(rows.lazy())))
        ['day']
    """
    dates = [name for name, facts in profiles.items() if facts.kind == "date" and facts.distinct >= FEWEST_TIMES]
    seen = frame.select(column(name) for name in dates).head(LOOKED_AT).collect() if dates else pl.DataFrame()
    return {
        name: WORDS.format(name=json.dumps(name, ensure_ascii=False))
        for name in dates
        if _in_order(seen[name].drop_nulls())
    }


def _in_order(times: pl.Series) -> bool:
    return times.dtype.is_temporal() and bool(times.is_sorted() or times.is_sorted(descending=True))
