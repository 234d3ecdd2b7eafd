"""Tells whole numbers that identify rows, such as a running number, from those that measure something.

A measurement may by chance differ in every row. How likely that is follows from the number of rows n and from the
number R of whole numbers between the smallest and the largest: of n independent draws from any distribution on R
numbers, n (n - 1) / 2R pairs or more are expected to be equal (fewest if all numbers are equally likely). So numbers
that lie dense and yet hardly repeat were given out, not measured. Gaps and the order of the rows do not matter, nor do
a few rows that were copied with their number.
"""

import math
import re
from datetime import datetime

IDENTIFIER_ROWS = 50
"""With fewer rows than this, only an unnamed column of whole numbers counts as an identifier."""

FEW_VALUES = 20
"""An unnamed column that counts from 0 or 1 to more than this is an index, even if it repeats: tables were joined."""

MOST_REPEATS = 0.1
"""Numbers of which a larger share repeats do not identify rows."""

EVIDENCE = 14.0
"""Numbers identify rows if independent measurements repeat as little with a chance below exp(-14), one in a million."""

MEASURED = 2**53
"""No measurement has so many digits: a wider range of numbers is one of keys or of hashes."""

DENSE = 0.5
"""At least this share of the range must occur where little else speaks for an identifier: in numbers that read as
times, which may be regular, and in an unnamed index that repeats."""

_INDEX = re.compile(r"(unnamed: 0(\.\d+)*|\.\.\.1|__index_level_\d+__)?", re.IGNORECASE)
_NAMES = {"ids", "index", "row", "rowid", "rownum", "rownames", "level_0"}
_LAST_WORDS = {"id", "key", "pk", "uid", "uuid", "guid"}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

_SECONDS = range(631_152_000, 4_102_444_800)
"""Seconds since 1970 of the years 1990 to 2099."""


def is_unnamed(name: str) -> bool:
    """Whether a program that wrote a table gave this name to its row index, or none.

    Examples:
        >>> [is_unnamed(name) for name in ("", "Unnamed: 0", "__index_level_0__", "Unnamed: 3", "size")]
        [True, True, True, False, False]
    """
    return _INDEX.fullmatch(name.strip()) is not None


def is_named_identifier(name: str) -> bool:
    """Whether a column is called an identifier.

    Examples:
        >>> is_named_identifier("customer_id"), is_named_identifier("PassengerId"), is_named_identifier("humid")
        (True, True, False)
    """
    words = _WORDS.findall(name)
    return name.strip().lower() in _NAMES or (bool(words) and words[-1].lower() in _LAST_WORDS)


def numbers_identify(name: str, *, present: int, distinct: int, smallest: float, largest: float) -> bool:
    """Whether a column of whole numbers identifies rows.

    Args:
        name: of the column.
        present: number of cells that are not missing.
        distinct: number of distinct values. The more, the rather they identify rows.
        smallest: smallest value.
        largest: largest value.

    References:
        The birthday problem. That equal chances give the fewest equal pairs: Bloom 1973, "A birthday problem",
        American Mathematical Monthly 80.
    """
    repeats, span = present - distinct, int(largest) - int(smallest) + 1
    counts = smallest in (0, 1) and distinct > FEW_VALUES and distinct >= DENSE * span
    if is_unnamed(name) and (repeats == 0 or counts):
        return True
    if present < IDENTIFIER_ROWS or repeats > MOST_REPEATS * present:
        return False
    timed = reads_as_time(smallest) and reads_as_time(largest)
    if is_named_identifier(name) or (span > MEASURED and not timed):
        return True
    evidence = _few_pairs_evidence(repeats, expected=present * (present - 1) / (2 * span))
    return evidence >= EVIDENCE and (not timed or distinct >= DENSE * span)


def _few_pairs_evidence(pairs: int, *, expected: float) -> float:
    """The evidence, in nats, of so few equal pairs against a Poisson number of them: -log of Chernoff's bound."""
    if pairs >= expected:
        return 0.0
    return expected - pairs + (pairs * math.log(pairs / expected) if pairs else 0.0)


def reads_as_time(number: float) -> bool:
    """Whether a whole number may be a time: YYYYMM, YYYYMMDD, or seconds since 1970 (or thousandths, and so on).

    Examples:
        >>> [reads_as_time(number) for number in (202012, 20201231, 20201331, 1_600_000_000, 1_600_000_000_000)]
        [True, True, False, True, True]
    """
    text = str(int(number))
    for digits, pattern in ((6, "%Y%m"), (8, "%Y%m%d")):
        if len(text) == digits and text[:2] in ("19", "20"):
            try:
                datetime.strptime(text, pattern)  # noqa: DTZ007 (no time zone matters)
            except ValueError:
                return False
            return True
    return any(int(number) // unit in _SECONDS for unit in (1, 10**3, 10**6, 10**9))
