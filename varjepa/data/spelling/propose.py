"""Proposes how a column is spelled, from distinct texts in it and how often they occur."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

import polars as pl

from varjepa.data.spelling.dates import EPOCHS, MONTHS, QUARTER
from varjepa.data.spelling.numbers import PLAIN
from varjepa.data.spelling.readers import DURATION, TIME, Reader

Order = Literal["day first", "month first", "year first"]
ORDERS: tuple[Order, ...] = ("day first", "month first", "year first")

STYLES = (PLAIN, "1,234.5", "1234,5", "1.234,5", "1,23,456.7")
"""Ways to write numbers, the simplest first."""

LEAST_VALUES = 10
"""An unknown word is a gap if at least this many different values stand beside it."""

CLEAR = 5
"""Whole numbers such as 20150131 are dates if at least this many different ones are; of year and month, twice as many.
"""

_GROUP_MARKS = {"'": set("'\u2019"), " ": set(" \u00a0\u202f\u2009")}
_CODE = re.compile(r"\s*[-+]?0\d+\s*")
_NETWORK = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_PHONE = re.compile(r"\+[\d\s]{8,}")
_UNIT = re.compile(r"[-+(]*[\d.,' ]*\d\s*([a-zA-Zµμ°²³][^\d\s]*(?: [^\d\s]+)?|[\"\u2033\u2032])")
_CLOCK = re.compile(
    r"^(.*?\d)(?:\s*[t,]\s*|\s+(?:at\s+|um\s+)?|:)\d{1,2}(?:[:h.]\d{2}.*|\s*[ap]\.?m\.?|\s?uhr)$", re.IGNORECASE
)
_SEPARATED = re.compile(r"(\d{1,4})([-/. ]|\. )(\d{1,2})\2(\d{4}|\d{1,2})\.?")
_NAMED = re.compile(r"(.*?)([^\W\d_]{3,})\.?(.*)")
_YEAR_MONTH = re.compile(r"(\d{4})([-/])(\d{1,2})|(\d{1,2})([-/.])(\d{4})|(\d{4})([Mm])(\d{1,2})")
_WEEK = re.compile(r"\d{4}(-?)W\d{2}(?:(-?)\d)?")
_QUARTER = re.compile(r"\d{4}[-/. ]?[qQ][1-4]|[qQ][1-4][-/. ]?\d{4}")
_WEEKDAYS = re.compile(r"^[^\W\d_]+\.?,?\s+(?=\d|[^\W\d_])")


def proposals(texts: Mapping[str, int]) -> list[Reader]:
    """Readers that fit most of these texts, the simplest first; more than one if they read texts differently.

    Args:
        texts: distinct texts of a column without gaps -> number of cells.
    """
    if len(texts) < 2 or sum(map(_has_digit, texts)) < len(texts) / 2:
        return []
    cells = pl.Series("text", list(texts), dtype=pl.String)
    weights = pl.Series(list(texts.values()))
    numbers = _fitting([Reader((style,)) for style in _styles(texts)], cells, weights)
    if numbers and not _are_codes(texts):
        return _whole_dates(texts, cells) or numbers
    if numbers:
        return _whole_dates(texts, cells)
    return (
        _fitting(_date_readers(texts), cells, weights)
        or _fitting([Reader((TIME,))], cells, weights, share=1.0)
        or _fitting([Reader((DURATION,))], cells, weights, share=1.0)
        or _fitting([Reader((style,)) for style in _with_unit(texts)], cells, weights, share=1.0)
    )


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def is_code(cells: pl.Series) -> bool:
    """Whether some of the cells are whole numbers with leading zeros."""
    return bool(cells.str.contains(f"^(?:{_CODE.pattern})$").any())


def _are_codes(texts: Iterable[str]) -> bool:
    """Whether texts that read as numbers are codes: leading zeros, network addresses, telephone numbers."""
    present = [text.strip() for text in texts]
    return (
        any(_CODE.fullmatch(text) for text in present)
        or all(_NETWORK.fullmatch(text) for text in present)
        or all(_PHONE.fullmatch(text) for text in present)
    )


def _styles(texts: Iterable[str]) -> list[str]:
    """Examples of the styles to try; in front those whose mark of thousands occurs."""
    marks = {mark for text in texts for mark in re.findall(r"\d([.,'\u2019 \u00a0\u202f\u2009])\d{3}(?!\d)", text)}
    spaced = [f"1{mark}234{decimal}5" for mark in "' " if marks & _GROUP_MARKS[mark] for decimal in ".,"]
    grouped = [style for style, mark in (("1,234.5", ","), ("1.234,5", ".")) if mark in marks]
    return list(dict.fromkeys([*spaced, *grouped, *STYLES]))


def _with_unit(texts: Iterable[str]) -> list[str]:
    """The same with the word that stands behind every number; nothing where there is no such word."""
    found = [_UNIT.fullmatch(text.strip()) for text in texts]
    units = {match.group(1) for match in found if match}
    if not all(found) or len({unit.lower() for unit in units}) != 1 or len(found) < 3:
        return []
    return [f"{style} {min(units)}" for style in STYLES]


def _fitting(readers: Iterable[Reader], cells: pl.Series, weights: pl.Series, share: float = 0.5) -> list[Reader]:
    """The readers that read most cells, and at least a share of them; of readers that agree on all cells the first."""
    read: list[tuple[int, Reader, pl.Series]] = []
    for reader in readers:
        values = reader.values(cells)
        # A gap word is not evidence for anything.
        rest = reader.unread(cells, values)
        if values.drop_nulls().n_unique() >= 2 and (
            int(weights.filter(rest).sum()) <= (1 - share) * int(weights.sum())
            or _is_one_word(cells.filter(rest), values)
        ):
            read.append((int(weights.filter(rest.not_()).sum()), reader, values))
    most = max((count for count, _, _ in read), default=0)
    best = list[tuple[Reader, pl.Series]]()
    for count, reader, values in read:
        if count == most and not any(values.equals(other) for _, other in best):
            best.append((reader, values))
    return [reader for reader, _ in best]


def _is_one_word(rest: pl.Series, values: pl.Series) -> bool:
    """Whether all texts that are no values are one word beside many values, which then is a gap."""
    words = rest.str.strip_chars().str.to_lowercase().unique()
    return len(words) == 1 and not _has_digit(words[0]) and values.drop_nulls().n_unique() >= LEAST_VALUES


def _whole_dates(texts: Iterable[str], cells: pl.Series) -> list[Reader]:
    """A reader for whole numbers that are all days (20150131) or months (201501)."""
    widths = {len(text.strip()) for text in texts}
    pattern = {8: "%Y%m%d", 6: "%Y%m", 14: "%Y%m%d%H%M%S"}.get(widths.pop() if len(widths) == 1 else 0)
    return [] if pattern is None or not are_dates(cells.str.strip_chars(), pattern) else [Reader((pattern,))]


def are_dates(cells: pl.Series, pattern: str) -> bool:
    """Whether all of these distinct numbers are dates of 1900 to 2100, and enough to be no coincidence."""
    values = Reader((pattern,)).values(cells)
    few = CLEAR * (2 if pattern == "%Y%m" else 1)
    return len(values) >= few and bool(values.dt.year().is_between(1900, 2100).fill_null(value=False).all())


def _date_readers(texts: Mapping[str, int]) -> list[Reader]:
    """Readers for dates, one for each order of day and month; one for both orders if no single order fits."""
    readers = {order: _date_reader(texts, order) for order in ORDERS}
    distinct = list(dict.fromkeys(reader for reader in readers.values() if reader is not None))
    if len(distinct) < 2:
        return distinct
    cells = pl.Series(list(texts), dtype=pl.String)
    if any(reader.values(cells).is_not_null().all() for reader in distinct):
        return distinct
    # Both orders occur: the one that reads more cells comes first.
    weights = pl.Series(list(texts.values()))
    ranked = sorted(distinct, key=lambda reader: -int(weights.filter(reader.values(cells).is_not_null()).sum()))
    both = Reader(tuple(dict.fromkeys(form for reader in ranked for form in reader.formats)))
    return [*distinct, both]


def _date_reader(texts: Mapping[str, int], order: Order) -> Reader | None:
    patterns = Counter[str]()
    for text, count in texts.items():
        pattern = date_pattern(text, order)
        if pattern is not None:
            patterns[pattern] += count
    if not patterns or _are_seasons(texts):
        return None
    return Reader(tuple(pattern for pattern, _ in patterns.most_common()))


def _are_seasons(texts: Iterable[str]) -> bool:
    """Whether all texts name two years in a row, such as 2008/09."""
    pairs = [re.fullmatch(r"\s*(\d{4})[-/](\d{2})\s*", text) for text in texts]
    return all(pair and (int(pair[1]) + 1) % 100 == int(pair[2]) for pair in pairs)


def date_pattern(text: str, order: Order) -> str | None:
    """The pattern that a date seems to have; None if it seems to be none.

    Examples:
        >>> [date_pattern("01/02/2015", order) for order in ORDERS]
        ['%d/%m/%Y', '%m/%d/%Y', '%d/%m/%Y']
        >>> date_pattern("5. Mai 2015 13:45", "day first")
        '%d. %b %Y'
    """
    day = re.sub(r"\s+", " ", text.strip(" \t\n\"'\u00a0"))
    clock = _CLOCK.match(day)
    if clock:
        day = clock.group(1)
    return _digits_pattern(day, order) or _month_pattern(day) or _named_pattern(day)


def _digits_pattern(day: str, order: Order) -> str | None:
    if match := _SEPARATED.fullmatch(day):
        first, mark, _, last = match.groups()
        if len(first) == 4:
            return None if len(last) == 4 else f"%Y{mark}%m{mark}%d"
        if len(first) > 2:
            return None
        year = "%Y" if len(last) == 4 else "%y"
        if order == "year first" and year == "%y":
            return f"%y{mark}%m{mark}%d"
        return f"%m{mark}%d{mark}{year}" if order == "month first" else f"%d{mark}%m{mark}{year}"
    return "%Y%m%d" if re.fullmatch(r"(?:19|20)\d{6}", day) else None


def _month_pattern(day: str) -> str | None:
    """Patterns of dates without a day: year and month, week, quarter."""
    if _QUARTER.fullmatch(day):
        return QUARTER
    if match := _WEEK.fullmatch(day):
        mark, second = match.groups()
        return f"%G{mark}W%V" + ("" if second is None else f"{second}%u")
    if match := _YEAR_MONTH.fullmatch(day):
        year, mark, _, _, other, behind, before, letter, _ = match.groups()
        if year:
            return f"%Y{mark}%m"
        return f"%m{other}%Y" if behind else f"%Y{letter}%m" if before else None
    return None


def _named_pattern(day: str) -> str | None:
    """Patterns of dates with the name of a month."""
    match = _NAMED.fullmatch(day)
    if match and match[2].lower() not in MONTHS:  # a day of the week may stand in front
        match = _NAMED.fullmatch(_WEEKDAYS.sub("", day))
    if match is None or match[2].lower() not in MONTHS:
        return None
    before, _, behind = match.groups()
    left, right = re.findall(r"\d+", before), re.findall(r"\d+", behind)
    mark = "-" if "-" in before or behind.startswith("-") else "/" if behind.startswith("/") else " "
    year = "%Y" if any(len(part) == 4 for part in (*left, *right)) else "%y"
    first = bool(left) and len(left[0]) == 4
    dotted = "." if "." in before else ""
    return {
        (1, 1): f"%Y{mark}%b{mark}%d" if first else f"%d{dotted}{mark}%b{mark}{year}",
        (0, 2): f"%b %d, {year}",
        (0, 1): f"%b{mark}{year}",
        (1, 0): f"{year}{mark}%b",
    }.get((len(left), len(right)))


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
    for pattern, least, most in (("%Y%m%d", 19_000_101, 21_001_231), ("%Y%m", 190_001, 210_012)):
        if least <= low and high <= most and are_dates(texts, pattern):
            return [Reader((pattern,))]
    for form, unit in EPOCHS.items():
        per_second = 1_000_000 // unit
        if not (_SECONDS.start * per_second <= low and high < _SECONDS.stop * per_second):
            continue  # also numbers of 128 bits, with which Polars does not calculate
        # Numbers of that size may be keys: the name must say time, or all must be full minutes.
        if _TIMED.search(name) or bool((distinct % (60 * per_second) == 0).all()):
            return [Reader((form,))]
    return []


_SECONDS = range(631_152_000, 4_102_444_800)
"""Seconds since 1970 of the years 1990 to 2099."""

_TIMED = re.compile(
    r"(?i)time|date|epoch|stamp|(?:^|[_\W])(?:ts|at|on|when|dt|zeit|datum|heure|fecha)(?:$|[_\W])|(?<=[a-z])(?-i:At|On|Ts)$|_?(?:created|updated|modified)"
)
