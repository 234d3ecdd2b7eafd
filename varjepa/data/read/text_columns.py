"""Tells text that says something, such as names and addresses, from keys that identify rows, such as UUIDs and hashes.

Both differ in (nearly) every row. Keys are drawn or counted, so that all of their letters are about as frequent; those
of words are not. A sample of the distinct values decides, chosen by their hash, so that it is the same however the rows
are partitioned.
"""

import re
from collections import Counter
from collections.abc import Sequence

import polars as pl

from varjepa.data.read.identifiers import is_named_identifier

SKETCH = 512
"""Number of distinct values that decide."""

OFTEN_NEW = 0.5
"""Text of which a larger share of the cells holds a new value is no set of categories."""

COMMON = 0.95
"""Words in a larger share of the values are part of their pattern, as in `order 17`, and say nothing."""

WORDLIKE = 0.052
"""Letters coincide with at least this chance in words of a language. Equally frequent letters coincide in 1 of 26
pairs, 0.038; those of European languages in 0.063 to 0.083."""

FEWEST_LETTERS = 60
"""Fewer letters show no language."""

LETTERS = 0.4
"""Values whose letters and digits are letters to a smaller share, their common pattern left out, are codes."""

_KEYS = re.compile(
    r"\{?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\}?"  # UUIDs
    r"|(0x)?[0-9a-f]{16,}"  # hashes
    r"|[0-9a-f]{2}([:-][0-9a-f]{2}){5}"  # addresses of network cards
    r"|[0-9A-HJKMNP-TV-Z]{26}"  # ULIDs
    r"|(?=[^ ]*[0-9])(?=[^ ]*[A-Za-z])[A-Za-z0-9+/_-]{20,}={0,2}",  # base 64
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+")


def sketch(values: pl.Series) -> list[str]:
    """At most `SKETCH` distinct values of text, those with the smallest hashes.

    The sketch of several parts of a column is the sketch of their sketches.
    """
    words = values.alias("value").drop_nulls().cast(pl.String).unique().to_frame()
    return words.bottom_k(SKETCH, by=pl.col("value").hash(0))["value"].sort().to_list()


def are_keys(name: str, words: Sequence[str]) -> bool:
    """Whether distinct values of a column are keys rather than text.

    Args:
        name: of the column; `customer_id` speaks for keys, unless the values are several words each.
        words: a sample of its distinct values.

    Examples:
        >>> are_keys("number", [f"order-{number:06}" for number in range(100)])
        True
        >>> are_keys("name", ["Mrs. Rosa Keller", "Mr. Paul Jensen", "Miss Anna Horn", "Mr. Ole Brandt"] * 20)
        False

    References:
        The chance that two letters coincide: Friedman 1922, "The index of coincidence and its applications in
        cryptography".
    """
    if not words:
        return False
    if sum(_KEYS.fullmatch(word.strip()) is not None for word in words) > OFTEN_NEW * len(words):
        return True
    spoken = _without_pattern([_WORD.findall(word.lower()) for word in words])
    per_value = sum(map(len, spoken)) / len(words)
    if is_named_identifier(name) and per_value < 2:
        return True
    letters = Counter(letter for row in spoken for word in row for letter in word)
    if any(letter > "z" for letter in letters):  # an alphabet whose letters we do not count
        return False
    return not _reads_as_language(letters, digits=sum(map(str.isdigit, "".join(words))))


def _without_pattern(rows: list[list[str]]) -> list[list[str]]:
    """The words of each value, without those that nearly all values share."""
    counts = Counter(word for row in rows for word in set(row))
    return [[word for word in row if counts[word] <= COMMON * len(rows)] for row in rows]


def _reads_as_language(letters: Counter[str], *, digits: int) -> bool:
    total = letters.total()
    if total < LETTERS * (total + digits) or total < FEWEST_LETTERS:
        return False
    pairs = sum(count * (count - 1) for count in letters.values())
    return pairs / (total * (total - 1)) >= WORDLIKE
