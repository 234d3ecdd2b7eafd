"""Whole numbers that are dates or times."""

import re

import polars as pl

from varjepa.data.spelling.dates import EPOCHS
from varjepa.data.spelling.readers import Reader

CLEAR = 5
"""Whole numbers such as 20150131 are dates if at least this many different ones are; of year and month, twice as many.
"""

_SECONDS = range(631_152_000, 4_102_444_800)
"""Seconds since 1970 of the years 1990 to 2099."""

_AGE = range(1_000_000_000, 1_900_000_000)
"""Seconds since 1970 of September 2001 to March 2030."""

_CALENDAR = (
    ("%Y%m%d", 19_000_101, 21_001_231), ("%Y%m", 190_001, 210_012), ("%Y%m%d%H%M", 190_001_010_000, 210_012_312_359),
    ("%Y%m%d%H%M%S", 19_000_101_000_000, 21_001_231_235_959),
)  # fmt: skip
"""Patterns of whole numbers, the least and the largest of them."""

_KEYED = re.compile(
    r"(?i)(?:^|[_\W])(?:id|ids|key|no|nr|num|number|nummer|code|ean|gtin|upc|isbn|imei|sku|phone|tel|mobile|account|konto|iban"
    r"|barcode)(?:$|[_\W])|(?<=[a-z])(?-i:I[Dd]|Key|No|Nr|Number|Code)$|^$"
)

_TIMED = re.compile(
    r"(?i)time|date|epoch|stamp|(?:^|[_\W])(?:ts|at|on|when|dt|zeit|datum|heure|fecha)(?:$|[_\W])|(?<=[a-z])(?-i:At|On|Ts)$|_?(?:created|updated|modified)"
)


def whole_number_readers(name: str, cells: pl.Series) -> list[Reader]:
    """A reader for a column of whole numbers that are times; nothing for other numbers.

    Args:
        name: of the column, which may say that it holds times.
        cells: some of its numbers, none missing.
    """
    distinct = cells.unique()
    if len(distinct) < CLEAR:
        return []
    low, high = int(distinct.min()), int(distinct.max())  # type: ignore[arg-type] # numbers
    texts = distinct.cast(pl.String)
    for pattern, least, most in _CALENDAR:
        if least <= low and high <= most and are_dates(texts, pattern):
            return [Reader((pattern,))]
    for form, unit in EPOCHS.items():
        per_second = 1_000_000 // unit
        inside = _SECONDS.start * per_second <= low and high < _SECONDS.stop * per_second
        # Numbers of that size may be keys: the name must say time, or all must be full minutes. They fit into 64 bits.
        # Thousandths of this age have more digits than most keys, so that their size tells unless the name says key.
        recent = per_second > 1 and _AGE.start * per_second <= low and high < _AGE.stop * per_second
        named = _TIMED.search(name) or (recent and not _KEYED.search(name))
        if inside and (named or (distinct.cast(pl.Int64) % (60 * per_second) == 0).all()):
            return [Reader((form,))]
    return []


def are_dates(cells: pl.Series, pattern: str) -> bool:
    """Whether all of these distinct numbers are dates of 1900 to 2100, and enough to be no coincidence."""
    values = Reader((pattern,)).values(cells)
    few = CLEAR * (2 if pattern == "%Y%m" else 1)
    return len(values) >= few and bool(values.dt.year().is_between(1900, 2100).fill_null(value=False).all())
