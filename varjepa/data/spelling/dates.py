"""Dates and times by `strptime` patterns, with what people write around them."""

import re
from collections.abc import Mapping
from functools import cache

import polars as pl

from varjepa.data.spelling.durations import read_times
from varjepa.data.spelling.gaps import INVISIBLE

ISO = "%Y-%m-%d"
"""The spelling that every program reads; a time of day may follow, as after every date."""

QUARTER = "quarter"
EPOCHS: Mapping[str, int] = {
    "epoch seconds": 1_000_000, "epoch milliseconds": 1000, "epoch microseconds": 1
}  # fmt: skip
"""Times since 1970, and the microseconds of their unit."""

_MONTHS = {
    "jan": "january januar janvier janv jan jän jänner enero ene gennaio gen januari jaunar",
    "feb": "february februar feb feber février févr fév fevrier fevr febrero febbraio februari",
    "mar": "march märz mrz mär mar maerz mars marzo maart mrt marz",
    "apr": "april apr avril avr abril abr aprile",
    "may": "may mai mayo maggio mag mei maio",
    "jun": "june juni jun juin junio giugno giu",
    "jul": "july juli jul juillet juil julio luglio lug",
    "aug": "august aug août aout agosto ago augustus",
    "sep": "september sept sep septembre septiembre setiembre settembre set",
    "oct": "october oktober oct okt octobre octubre ottobre ott",
    "nov": "november nov novembre noviembre",
    "dec": "december dezember dec dez décembre déc decembre diciembre dic dicembre",
}
MONTHS = {word: english for english, words in _MONTHS.items() for word in words.split()}
"""Month names in five languages -> their English abbreviation."""

_WEEKDAYS = (
    r"mon|tues?|wed|wednes|thu|thurs?|fri|sat|satur|sun|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|"
    r"sonntag|mo|di|mi|do|fr|sa|so|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche"
)
_WEEKDAY = rf"^(?:{_WEEKDAYS})(?:day)?\.?,?\s+"
_DAY_AHEAD = r"(?i)^(?P<day>.*?[\d日일])(?:\s*[t,]\s*|\s+(?:at\s+|um\s+)?|:)"
_CLOCK_BEHIND = _DAY_AHEAD + r"(?P<clock>\d{1,2}(?:[:h.]\d{2}.*|\s*[ap]\.?m\.?|\s?uhr))$"
_DIRECTIVES = "YCyGgmbBhdeaAwuUWVjDFxHkIlPpMSfRTXrZzsc+n%t"
_EARLIEST = -30_610_224_000_000_000
"""The year 1000, in microseconds before 1970. Years have four digits; `strptime` takes 15 for one."""


def read_dates(cells: pl.Series, pattern: str) -> pl.Series:
    """Moments (`Datetime("us")`, UTC) from text, null where a cell is missing or does not fit.

    A time of day behind a date is read with it, in any of the usual forms, and a time zone turns it into UTC. Without a
    day the first of the month, of the quarter or of the ISO week is meant.

    Args:
        cells: text.
        pattern: a `strptime` pattern, `quarter`, or one of `EPOCHS`.

    Examples:
        >>> read_dates(pl.Series(["5. März 2015", "7 mar 15"]), "%d %b %Y").dt.date().to_list()
        [datetime.date(2015, 3, 5), None]
    """
    if pattern in EPOCHS:
        return _epochs(cells, EPOCHS[pattern])
    text = cells.str.strip_chars()
    moments = _parsed(text, pattern)
    if moments.null_count() > text.null_count():
        rest = (text.is_not_null() & moments.is_null()).arg_true()
        moments = moments.scatter(rest, _with_clock(text.gather(rest), pattern))
    return moments.rename(cells.name)


def is_date_pattern(text: str) -> bool:
    """Whether a format is a pattern or a word for dates.

    Examples:
        >>> [is_date_pattern(text) for text in ("%d.%m.%Y", "quarter", "%Q", "%H:%M", "1234.5")]
        [True, True, False, False, False]
    """
    directives = re.findall("%[-_0#]?(.?)", text.replace("%.f", "").replace("%.3f", "").replace("%.6f", ""))
    known = bool(directives) and all(directive in _DIRECTIVES and directive for directive in directives)
    return (known and bool(set(directives) & set("YyGgCFDcxs"))) or text == QUARTER or text in EPOCHS


def holds_clock(pattern: str) -> bool:
    """Whether a pattern has a time of day itself."""
    return bool(re.search(r"%[-_0#]?[HIklMSTRrXcsfp+]|%\.", pattern)) or pattern in EPOCHS


def _epochs(cells: pl.Series, unit: int) -> pl.Series:
    number = cells.cast(pl.Float64, strict=False) if cells.dtype == pl.String else cells.cast(pl.Float64)
    # Until the year 9999: further numbers are no times.
    valid = (number * unit).is_between(-6.2e16, 2.5e17).fill_null(value=False)
    return (number.set(valid.not_(), None) * unit).round().cast(pl.Int64).cast(pl.Datetime("us"))


def _with_clock(text: pl.Series, pattern: str) -> pl.Series:
    """Moments of cells with names of months, or with a time of day behind the date."""
    bare = text.str.replace_all(INVISIBLE, "").str.replace_all(r"\s+", " ").str.strip_chars("\"' ")
    if _has_name(pattern):
        bare, pattern = _named(bare), _named_pattern(pattern)
    moments = _parsed(bare, pattern)
    if holds_clock(pattern):
        return moments
    rest = moments.is_null().arg_true()
    if not len(rest):
        return moments
    parts = bare.gather(rest).str.extract_groups(_CLOCK_BEHIND).struct.unnest()
    day = parts["day"].str.strip_chars(" ,")
    clock = (read_times(parts["clock"]) * 1e6).round().cast(pl.Int64).cast(pl.Duration("us"))
    return moments.scatter(rest, _parsed(day, pattern) + clock)


def _parsed(text: pl.Series, pattern: str) -> pl.Series:
    if pattern == QUARTER:
        return _quarters(text)
    width = _width(pattern)
    if width:
        text = text.set((text.str.len_chars() != width).fill_null(value=False), None)
    if re.search("%[VUW]", pattern) and not re.search("%[uwaA]", pattern):
        text, pattern = text + "-1", pattern + "-%u"
    elif not re.search("%[-_0]?[dejDFcxsVUW]", pattern):
        text, pattern = "1 " + text, "%d " + pattern
    # %z reads +02:00, %#z also Z and +02.
    moments = text.str.to_datetime(pattern.replace("%z", "%#z"), strict=False, exact=True, time_unit="us")
    if getattr(moments.dtype, "time_zone", None):
        moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if "%Y" in pattern or "%G" in pattern:
        early = moments.to_physical() < _EARLIEST
        moments = moments.set(early, None) if early.any() else moments
    return moments


def _width(pattern: str) -> int:
    """Number of digits of a date without any mark between its parts, such as 20150131; 0 for other patterns."""
    parts = re.findall("%([YmdHMSyj])", pattern)
    return sum({"Y": 4, "j": 3}.get(part, 2) for part in parts) if 2 * len(parts) == len(pattern) else 0


def _quarters(text: pl.Series) -> pl.Series:
    """First days of quarters such as 2015Q1, 2015-Q1 and Q1 2015."""
    ahead = text.str.extract_groups(r"(?i)^(?P<year>\d{4})[-/. ]?q(?P<quarter>[1-4])$").struct.unnest()
    behind = text.str.extract_groups(r"(?i)^q(?P<quarter>[1-4])[-/. ]?(?P<year>\d{4})$").struct.unnest()
    year, quarter = (ahead[name].zip_with(ahead[name].is_not_null(), behind[name]) for name in ("year", "quarter"))
    month = (quarter.cast(pl.Int64) * 3 - 2).cast(pl.String)
    return _parsed(year + "-" + month, "%Y-%m")


def _has_name(pattern: str) -> bool:
    return bool(re.search("%[bBhaA]", pattern))


def _named(text: pl.Series) -> pl.Series:
    """Dates with the name of a month in one form: `5 mar 2015`."""
    plain = text.str.to_lowercase().str.replace(_WEEKDAY, "").str.replace_all(r"(\d)(?:st|nd|rd|th|er|º|ª)\b", "${1}")
    parts = plain.str.extract_groups(r"^(?P<before>.*?)(?P<name>[^\W\d_]{3,})(?P<behind>.*)$").struct.unnest()
    months = parts["name"].replace_strict(MONTHS, default=None, return_dtype=pl.String)
    # Only dots, commas and blanks at a month's two sides: those of a time of day behind the year stay.
    before = parts["before"].str.replace_all(r"[-/.,\s]+|\bde\b", " ")
    behind = parts["behind"].str.replace(r"^[-/.,\s]*(?:de[l]?\s+)?", "").str.replace(r"^(\d{1,4})[-/.,\s]+", "${1} ")
    day_year = behind.str.replace(r"^(\d{1,2}) de[l]? (\d)", "${1} ${2}")
    return (before + " " + months + " " + day_year).str.replace_all(r"\s+", " ").str.strip_chars()


@cache
def _named_pattern(pattern: str) -> str:
    """A pattern in the form that `_named` gives dates."""
    bare = re.sub(r"%[aA][.,\s]*", "", pattern)
    date, clock = re.fullmatch(r"(.*?)((?:[ T:]*%[HIklTRr].*)?)", bare, re.DOTALL).groups()  # type: ignore[union-attr] # always fits
    spaced = re.sub(r"\s+", " ", re.sub(r"[-/.,\s]+|\bde\b", " ", re.sub("%[-_0]?([bBh])", " %b ", date))).strip()
    return spaced + clock
