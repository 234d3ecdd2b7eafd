"""Tells whole numbers that identify rows, such as a running number, from those that measure something.

A measurement may by chance differ in every row. How likely that is follows from the number of rows n and from the
number R of whole numbers between the smallest and the largest: of n independent draws from any distribution on R
numbers, n (n - 1) / 2R pairs or more are expected to be equal (fewest if all numbers are equally likely). So numbers
that lie dense and yet never repeat were given out, not measured. Gaps and the order of the rows do not matter.
"""

import re
from datetime import datetime

IDENTIFIER_ROWS = 50
"""With fewer rows than this, only an unnamed column of whole numbers counts as an identifier."""

FEW_VALUES = 20
"""An unnamed column with more distinct numbers than this is an index, even if it repeats: tables were joined."""

EQUAL_PAIRS = 14.0
"""Numbers that never repeat identify rows if at least this many equal pairs were expected. The chance that n
independent measurements all differ is then below exp(-14), one in a million."""

MEASURED = 2**53
"""No measurement has so many digits: a wider range of numbers that never repeat is one of keys or of hashes."""

DENSE = 0.5
"""Numbers that read as times identify rows only if at least this share of the range occurs: times are regular."""

_INDEX = re.compile(r"(unnamed: \d+(\.\d+)*|\.\.\.1)?", re.IGNORECASE)
_NAMES = {"ids", "index", "row", "rowid", "rownum", "rownames", "level_0"}
_LAST_WORDS = {"id", "key", "pk", "uid", "uuid", "guid"}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

_SECONDS = range(631_152_000, 4_102_444_800)
"""Seconds since 1970 of the years 1990 to 2099."""


def is_unnamed(name: str) -> bool:
    """Whether a program that wrote a table gave this name to its row index, or none.

    Examples:
        >>> is_unnamed(""), is_unnamed("Unnamed: 0"), is_unnamed("size")
        (True, True, False)
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
        distinct: number of distinct values; above `FEW_VALUES` only matters whether it equals `present`.
        smallest: smallest value.
        largest: largest value.

    References:
        The birthday problem. That equal chances give the fewest equal pairs: Bloom 1973, "A birthday problem",
        American Mathematical Monthly 80.
    """
    if is_unnamed(name) and (distinct == present or distinct > FEW_VALUES):
        return True
    if distinct < present or present < IDENTIFIER_ROWS:
        return False
    span, timed = int(largest) - int(smallest) + 1, reads_as_time(smallest) and reads_as_time(largest)
    if is_named_identifier(name) or (span > MEASURED and not timed):
        return True
    return present * (present - 1) / (2 * span) >= EQUAL_PAIRS and (not timed or present >= DENSE * span)


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
