"""Categories that differ only in how they are written, such as `ok` and `OK`: probably one value, spelled twice."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import polars as pl

from varjepa.amounts import counted
from varjepa.data.cells import by_name
from varjepa.data.read.column_profile import ColumnProfile
from varjepa.visible import shortened

LOOKED_AT = 100_000
"""Rows at the start of a table that are looked at."""

MOST_DISTINCT = 1_000
"""A column with more different values holds names or sentences, of which some are alike by chance."""

MOST_GROUPS = 3
"""Groups of values that are named."""

LONGEST = 30
"""Characters of a value that are shown."""

_BETWEEN_WORDS = re.compile(r"(?<=\w)[\s_-]+(?=\w)")


def alike_values(frame: pl.LazyFrame, profiles: Iterable[ColumnProfile]) -> dict[str, str]:
    """Columns of categories with values that differ only in how they are written -> what to say about them.

    Args:
        frame: the rows.
        profiles: of its columns.

    Examples:
        >>> from varjepa.data.read.column_profile import profile
        >>> rows = pl.DataFrame({"state": ["ok", "OK", "late", "ok"] * 9}).lazy()
        >>> alike_values(rows, profile(rows).values())  # doctest: +ELLIPSIS
        {'state': '"OK" (9 cells) and "ok" (18) differ only in how they are written, ...'}
    """
    names = [
        facts.name
        for facts in profiles
        if facts.kind == "categorical" and facts.dtype == pl.String and facts.distinct <= MOST_DISTINCT
    ]
    seen = first_cells(frame, names)
    found = {name: _groups(seen[name]) for name in names}
    return {name: _words(groups) for name, groups in found.items() if groups}


def first_cells(frame: pl.LazyFrame, names: Sequence[str]) -> pl.DataFrame:
    """Some columns of the first `LOOKED_AT` rows; without any column no row is read."""
    return frame.select(by_name(names)).head(LOOKED_AT).collect() if names else pl.DataFrame()


def written_plainly(value: str) -> str:
    """A value without what people write now so, now otherwise: capitals, accents, blanks, and hyphens between words.

    Signs elsewhere stay, as they tell values apart: `A`, `A-` and `A+`, or `C` and `C#`.

    Examples:
        >>> written_plainly("Self-Employed"), written_plainly(" self_employed"), written_plainly("Café")
        ('self employed', 'self employed', 'cafe')
        >>> written_plainly("A-"), written_plainly("C#")
        ('a-', 'c#')
    """
    # Twice: some letters fall apart into capitals, and some small ones into letters with accents.
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", value).casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return _BETWEEN_WORDS.sub(" ", bare.strip())


def _groups(cells: pl.Series) -> list[list[tuple[str, int]]]:
    """Groups of two or more values that are alike, with their cells, in alphabetical order."""
    groups: dict[str, list[tuple[str, int]]] = {}
    cells = cells.alias("value").drop_nulls()  # first: Polars takes the name of a series for a pattern
    for value, count in cells.value_counts(name="cells").sort("value").iter_rows():
        groups.setdefault(written_plainly(value), []).append((value, count))
    return [group for group in groups.values() if len(group) > 1]


def _words(groups: list[list[tuple[str, int]]]) -> str:
    named = [_named(group) for group in groups[:MOST_GROUPS]]
    more = f", and {len(groups) - MOST_GROUPS:,} more groups" if len(groups) > MOST_GROUPS else ""
    return (
        f"{'; '.join(named)}{more} differ only in how they are written, and count as different values; if they are the "
        "same, write them alike in the table"
    )


def _named(group: list[tuple[str, int]]) -> str:
    (first, count), *others = group
    parts = [f'"{shortened(first, LONGEST)}" ({counted(count, "cell")})']
    parts += [f'"{shortened(value, LONGEST)}" ({cells:,})' for value, cells in others]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
