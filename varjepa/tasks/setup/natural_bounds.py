"""Bounds that a column cannot cross, whatever rows come: there is no thirteenth month."""

import re
from datetime import date, datetime
from typing import Any, NamedTuple


class Bounds(NamedTuple):
    """Bounds of the columns that a name describes.

    Attributes:
        name: pattern of a word of the name.
        low: smallest value.
        high: largest value.
        whole: whether only whole numbers are meant.
    """

    name: str
    low: float
    high: float
    whole: bool


NATURAL = (
    Bounds("months?|mon|mth|monate?|mois|mes|mese|mês|maand", 1, 12, whole=True),
    Bounds("quarters?|qtr|quartale?|trimestre|kwartaal", 1, 4, whole=True),
    Bounds("weekdays?|dow|dayofweek|wochentag|weekdag", 0, 7, whole=True),
    Bounds("weeks?|weekno|weekofyear|wochen?|kw|kalenderwoche|semaine|semana|settimana", 0, 53, whole=True),
    Bounds("dayofyear|doy|yday", 0, 366, whole=True),
    Bounds("days?|dom|dayofmonth|mday|tag|jour|día|dia|giorno|dag", 1, 31, whole=True),
    Bounds("hours?|hr|hh|stunden?|heures?|horas?|uren?|uhrzeit", 0, 24, whole=True),
    Bounds("minutes?|mins?|seconds?|secs?|minuten?|sekunden?|secondes?|minutos?|segundos?", 0, 60, whole=True),
    Bounds("percent|percentage|pct|prozent|pourcent|porcentaje|percentuale|procent", 0, 100, whole=False),
    Bounds("share|fraction|probability|prob|proportion|ratio|anteil|quote", 0, 1, whole=False),
    Bounds("latitude|lat|breitengrad|latitud", -90, 90, whole=False),
    Bounds("longitude|lon|lng|längengrad|longitud", -180, 180, whole=False),
)
"""Words of names, in several languages -> bounds. They count only for a column whose values all lie within them."""

_WORDS = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where a word of camelCase begins."""

YEAR = re.compile(r"years?|yr|yyyy|jahre?|baujahr|annee|année|año|anno|ano|jaar")
YEARS = (1500, 3000)
"""Whole numbers between them are years, in a column whose name says so."""


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case, and the name as one word.

    Examples:
        >>> words_of("dayOfWeek"), words_of("DEP_HOUR"), words_of("día2")
        (['day', 'of', 'week', 'dayofweek'], ['dep', 'hour', 'dephour'], ['día'])
    """
    words = [word.lower() for part in _HUMP.split(name) for word in _WORDS.findall(part)]
    return [*words, "".join(words)] if len(words) > 1 else words


def natural_bounds(name: str, smallest: float, largest: float, *, whole: bool) -> tuple[float, float] | None:
    """The bounds of a column of numbers that nothing can cross; None where there are none.

    Args:
        name: of the column.
        smallest: value of the column.
        largest: value of the column.
        whole: whether all values are whole numbers.

    Examples:
        >>> natural_bounds("month", 2, 11, whole=True), natural_bounds("months_since", 0, 400, whole=True)
        ((1, 12), None)
    """
    words = words_of(name)
    for bounds in sorted(NATURAL, key=lambda bounds: bounds.high - bounds.low):
        named = any(re.fullmatch(bounds.name, word) for word in words)
        if named and (whole or not bounds.whole) and bounds.low <= smallest and largest <= bounds.high:
            return bounds.low, bounds.high
    return None


def is_year(name: str, smallest: float, largest: float, *, whole: bool) -> bool:
    """Whether a column of numbers holds years, as its name and its values say."""
    named = any(YEAR.fullmatch(word) for word in words_of(name))
    return whole and named and YEARS[0] <= smallest and largest <= YEARS[1]


def future_words(name: str, largest: Any, *, whole: bool, today: date) -> str:
    """What to say of a column whose dates or years reach into the future; empty for any other.

    Examples:
        >>> future_words("sold", date(2095, 1, 1), whole=False, today=date(2026, 11, 29))
        'its largest date, 2095-01-01, lies in the future'
        >>> future_words("year_built", 2207, whole=True, today=date(2026, 11, 29))
        'its largest year, 2207, lies in the future'
        >>> future_words("year_built", 2026, whole=True, today=date(2026, 11, 29))
        ''
    """
    if isinstance(largest, date):
        day = largest.date() if isinstance(largest, datetime) else largest
        return f"its largest date, {day}, lies in the future" if day > today else ""
    if is_year(name, largest, largest, whole=whole) and largest > today.year:
        return f"its largest year, {int(largest)}, lies in the future"
    return ""
