"""Says in words how a column is spelled."""

import re

from varjepa.data.spelling.dates import EPOCHS, ISO, QUARTER
from varjepa.data.spelling.judge import is_day_first
from varjepa.data.spelling.numbers import PLAIN, NumberStyle
from varjepa.data.spelling.readers import DURATION, TIME, Reader
from varjepa.errors import listed

_MARKS = {",": "comma", ".": "point", "'": "apostrophe", " ": "blank", "_": "underscore", ",,": "Indian groups"}


def is_plain(reader: Reader) -> bool:
    """Whether every program reads this spelling."""
    return reader.formats in ((PLAIN,), (ISO,)) and not reader.gaps


def described(reader: Reader) -> str:
    """The spelling, for people.

    Examples:
        >>> described(Reader(("1.234,5",), ("n/a",)))
        'numbers with decimal comma, thousands marked by a point; "n/a" means missing'
        >>> described(Reader(("%d/%m/%Y",)))
        'dates, day first: %d/%m/%Y'
    """
    if reader.family == "numbers":
        words = _numbers(reader.formats[0])
    elif reader.family == "seconds":
        words = {TIME: "times of day, in seconds since midnight", DURATION: "durations, in seconds"}[reader.formats[0]]
    else:
        words = _dates(reader.formats)
    gaps = f"; {listed(list(reader.gaps), 3)} means missing" if reader.gaps else ""
    return words + gaps


def _numbers(example: str) -> str:
    style = NumberStyle.of(example) or NumberStyle()
    sign = style.unit or re.sub(r"^[\d.,'_ ]+", "", example)
    parts = ["numbers in percent (45% is 0.45)" if sign == "%" else f"numbers in {sign}" if sign else "numbers"]
    if style.decimal == ",":
        parts[0] += " with decimal comma"
    if style.thousands == ",,":
        parts.append("grouped as in India")
    elif style.thousands:
        mark = _MARKS[style.thousands]
        parts.append(f"thousands marked by {'an' if mark[0] in 'au' else 'a'} {mark}")
    return ", ".join(parts)


def _dates(formats: tuple[str, ...]) -> str:
    if formats[0] in EPOCHS:
        return f"times as {formats[0]}"
    if formats == (QUARTER,):
        return "quarters"
    orders = {first for form in formats if (first := is_day_first(form)) is not None}
    order = "" if len(orders) != 1 else ", day first" if True in orders else ", month first"
    return f"dates{order}: {' or '.join(formats)}"
