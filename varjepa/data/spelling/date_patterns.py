"""The `strptime` pattern that a date seems to have."""

import re
from typing import Literal

from varjepa.data.spelling.dates import MONTHS, QUARTER

Order = Literal["day first", "month first", "year first"]
ORDERS: tuple[Order, ...] = ("day first", "month first", "year first")

_CLOCK = re.compile(
    r"^(.*?[\d日일])(?:\s*[t,]\s*|\s+(?:at\s+|um\s+)?|:)\d{1,2}(?:[:h.]\d{2}.*|\s*[ap]\.?m\.?|\s?uhr)$", re.IGNORECASE
)
_SEPARATED = re.compile(r"(\d{1,4})([-/. _]|\. )(\d{1,2})\2(\d{4}|\d{1,2})\.?")
_NAMED = re.compile(r"(.*?)([^\W\d_]{3,})\.?(.*)")
_YEAR_MONTH = re.compile(r"(\d{4})([-/])(\d{1,2})|(\d{1,2})([-/.])(\d{4})|(\d{4})([Mm])(\d{1,2})")
_WEEK = re.compile(r"\d{4}(-?)W\d{2}(?:(-?)\d)?")
_QUARTER = re.compile(r"\d{4}[-/. ]?[qQ][1-4]|[qQ][1-4][-/. ]?\d{4}")
_WHOLE_MOMENTS = {
    r"\d{8}T\d{6}": "%Y%m%dT%H%M%S",
    r"\d{8}T\d{6}Z": "%Y%m%dT%H%M%SZ",
    r"\d{4}-\d{2}-\d{2}-\d{2}\.\d{2}\.\d{2}(?:\.\d+)?": "%Y-%m-%d-%H.%M.%S%.f",
    r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} \d{2}:\d{2}:\d{2} \d{4}": "%a %b %d %H:%M:%S %Y",
    r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} \d{2}:\d{2}:\d{2} [-+]\d{4} \d{4}": "%a %b %d %H:%M:%S %z %Y",
    r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} \d{2}:\d{2}:\d{2} UTC \d{4}": "%a %b %d %H:%M:%S UTC %Y",
    r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} \d{2}:\d{2}:\d{2} GMT \d{4}": "%a %b %d %H:%M:%S GMT %Y",
}
"""Moments that programs write, of ISO 8601 without marks, DB2, C and Java."""

_CLOCK_AHEAD = re.compile(r"\d{1,2}:\d{2}(:\d{2})?,? +(?=\d)")
_IDEOGRAPHS = re.compile(r"\d{4}( ?[年년] ?)\d{1,2}( ?[月월] ?)\d{1,2}( ?[日일])")
_WEEKDAYS = re.compile(r"^[^\W\d_]+\.?,?\s+(?=\d|[^\W\d_])")


def date_pattern(text: str, order: Order) -> str | None:
    """The pattern that a date seems to have; None if it seems to be none.

    Examples:
        >>> [date_pattern("01/02/2015", order) for order in ORDERS]
        ['%d/%m/%Y', '%m/%d/%Y', '%d/%m/%Y']
        >>> date_pattern("5. Mai 2015 13:45", "day first")
        '%d. %b %Y'
    """
    day = re.sub(r"\s+", " ", text.strip(" \t\n\"'\u00a0"))
    whole = next((pattern for form, pattern in _WHOLE_MOMENTS.items() if re.fullmatch(form, day)), None)
    if whole is not None:
        return whole
    if ahead := _CLOCK_AHEAD.match(day):
        behind = _digits_pattern(day[ahead.end() :], order)
        return behind and re.sub(r"\d+:\d+:\d+|\d+:\d+", "%H:%M:%S" if ahead[1] else "%H:%M", ahead[0]) + behind
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
    if match := _IDEOGRAPHS.fullmatch(day):
        return "%Y{}%m{}%d{}".format(*match.groups())
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
    if len(left) + len(right) == 1 and year == "%y" and mark == " ":
        return None  # 5 Feb is a day without a year
    first = bool(left) and len(left[0]) == 4
    dotted = "." if "." in before else ""
    return {
        (1, 1): f"%Y{mark}%b{mark}%d" if first else f"%d{dotted}{mark}%b{mark}{year}",
        (0, 2): f"%b %d, {year}",
        (0, 1): f"%b{mark}{year}",
        (1, 0): f"%Y{mark}%b" if first else None,
    }.get((len(left), len(right)))
