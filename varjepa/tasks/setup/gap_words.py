"""How many cells a gap word explains: `None` may be a value, such as a house without veneer."""

from collections.abc import Iterable

import polars as pl

from varjepa.config import DataSection
from varjepa.config.data import ColumnSection
from varjepa.data.cells import by_name, column
from varjepa.data.read.column_profile import ColumnProfile
from varjepa.errors import DataError
from varjepa.tasks.sources.open_table import opened_table, reads

MOST_ROWS = 1_000_000
"""Rows that are looked at, from the first one on: it is the words that matter, not the last cell."""

MOST_WORDS = 3
"""Words of a column that are named."""


def gap_words(section: DataSection, profiles: Iterable[ColumnProfile]) -> dict[str, str]:
    """Columns of text in which words count as missing -> which words, and how many cells each explains."""
    words = {word for word in section.na_values if word.strip()}
    # A word among numbers cannot be a value.
    columns = [facts.name for facts in profiles if facts.missing and facts.dtype == pl.String]
    if not words or not columns or section.path is None:
        return {}
    plain = section.model_copy(update={"na_values": ("",)})
    try:
        with opened_table(plain, columns, quiet=True) as source, reads(plain):
            present = [name for name in columns if source.frame.collect_schema().get(name) == pl.String]
            cells = source.frame.select(by_name(present)).head(MOST_ROWS)
            told = {name: section.columns.get(name, ColumnSection()).not_gaps for name in present}
            counts = {name: _counts(cells, name, sorted(words.difference(told[name]))) for name in present}
    except DataError:
        return {}  # what makes sense only with the gap words is not read without them
    return {name: words_of(found) for name, found in counts.items() if found}


def _counts(cells: pl.LazyFrame, name: str, words: list[str]) -> dict[str, int]:
    bare = column(name).str.strip_chars()
    found = cells.select(bare.alias("word")).filter(pl.col("word").is_in(words)).group_by("word").len()
    rows = found.sort("len", "word", descending=[True, False]).collect(engine="streaming").rows()
    return {str(word): int(count) for word, count in rows}


def words_of(counts: dict[str, int]) -> str:
    """Gap words and their cells in a sentence.

    Examples:
        >>> words_of({"None": 864, "NA": 2})  # doctest: +ELLIPSIS
        'the words "None" (864 cells), "NA" (2 cells) count as missing. If one is a value here, ...'
    """
    named = ", ".join(f'"{word}" ({count:,} cells)' for word, count in [*counts.items()][:MOST_WORDS])
    plural = "word" if len(counts) == 1 else "words"
    counting = "counts" if len(counts) == 1 else "count"
    return f"the {plural} {named} {counting} as missing. If one is a value here, name it in data.columns.NAME.not_gaps"
