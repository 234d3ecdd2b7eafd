"""Tables whose last row sums up the others, as spreadsheets and reports have it: it is no row to learn from."""

import re
from collections.abc import Mapping

import polars as pl

from varjepa.data.cells import column
from varjepa.data.read.column_profile import ColumnProfile
from varjepa.visible import shortened

MOST_ROWS = 1_000_000
"""Larger tables are not read to their end for this: they come from databases rather than from spreadsheets."""

LONGEST = 30
"""Characters of a cell that are shown."""

_TOTAL = re.compile(
    r"\W*((grand|sub|over)?[\s-]*totale?s?|sum|sums|summe|summa|suma|somme|gesamt(summe)?|insgesamt|totaal|итого|всего|合計|总计|合计|総計)\b",
    re.IGNORECASE,
)
"""Words at the beginning of a cell that sums up, in the languages that spreadsheets are written in most."""


def total_row(frame: pl.LazyFrame, rows: int, profiles: Mapping[str, ColumnProfile]) -> dict[str, str]:
    """The column in which the last row reads like a total, and what to say about it; mostly nothing.

    Args:
        frame: the rows.
        rows: their number.
        profiles: of its columns.

    Examples:
        >>> from varjepa.data.read.column_profile import profile
        >>> table = pl.DataFrame({"shop": ["Bern", "Basel", "Total"], "sold": [3, 4, 7]}).lazy()
        >>> total_row(table, 3, profile(table))
        {'shop': 'the last row reads "Total"; if it sums up the others, take it out of the table'}
    """
    words = [name for name, facts in profiles.items() if facts.dtype == pl.String]
    if not words or not 1 < rows <= MOST_ROWS:
        return {}
    cells = [column(name).last().alias(str(place)) for place, name in enumerate(words)]
    # A word that other rows have, too, is a category.
    counts = [(column(name) == column(name).last()).sum().alias(f"n{place}") for place, name in enumerate(words)]
    found = frame.select(cells + counts).collect().row(0, named=True)
    for place, name in enumerate(words):
        cell = found[str(place)]
        if cell is not None and found[f"n{place}"] == 1 and _TOTAL.match(cell):
            said = (
                f'the last row reads "{shortened(cell, LONGEST)}"; if it sums up the others, take it out of the table'
            )
            return {name: said}
    return {}
