"""Words that mean a missing cell where all other cells of a column are numbers or dates."""

from collections.abc import Collection

import polars as pl

WORDS = frozenset({
    "", "na", "n/a", "n.a.", "n.a", "n/d", "n.d.", "nd", "n/k", "k.a.", "k. a.", "s/d", "s.d.", "<na>", "#n/a", "#na",
    "#n/a n/a", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!", "-", "--", "---", "----", "?", "??", "???",
    ".", "..", "...", "…", "*", "_", "/", "\\n", "nil", "none", "null", "(null)", "<null>", "(none)", "<none>", "nan",
    "-nan", "+nan", "nat", "inf", "-inf", "+inf", "infinity", "-infinity", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
    "1.#inf", "missing", "(missing)", "unknown", "(unknown)", "undefined", "empty", "(empty)", "(blank)", "blank",
    "not available", "not applicable", "no data", "nodata", "no value", "not known", "unbekannt", "keine angabe",
    "fehlt", "inconnu", "desconocido", "sconosciuto", "onbekend", "tbd", "tba", "0000-00-00", "0000-00-00 00:00:00",
    "00.00.0000", "00/00/0000", "[null]", "0001-01-01", "0001-01-01 00:00:00", "0001-01-01t00:00:00",
    "0001-01-01t00:00:00z", "01.01.0001", "01.01.0001 00:00:00", "01/01/0001", "1/1/0001", "1/1/0001 12:00:00 am",
})  # fmt: skip
"""In lower case. White space around a word does not count, and every dash is a hyphen."""

DASHES = "[−‒–—―﹣－]"  # noqa: RUF001 (these are the marks to replace)
"""The dashes and minus signs of Unicode, for a hyphen."""

INVISIBLE = "[\u200b\u200e\u200f\u2060\ufeff]"
"""Marks without a width, which programs leave in cells."""


def are_gaps(cells: pl.Series, words: Collection[str] = ()) -> pl.Series:
    """Whether each cell of text is a gap word, in any case; false where it is null.

    Args:
        cells: text.
        words: further words of this column.

    Examples:
        >>> are_gaps(pl.Series(["N/A", " ", "--", "refused", "3"]), ["refused"]).to_list()
        [True, True, True, True, False]
    """
    known = sorted(WORDS | {word.strip().lower() for word in words})
    plain = cells.str.replace_all(INVISIBLE, "").str.replace_all(DASHES, "-").str.strip_chars().str.to_lowercase()
    quoted = plain.str.strip_chars("\"'").str.strip_chars()
    return (plain.is_in(known) | quoted.is_in(known)).fill_null(value=False)
