"""Durations as people write them: `90`, `90m`, `1.5h`, `1h30m`, `2d`."""

import re
from datetime import timedelta

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST = 3650 * UNITS["d"]
"""Ten years: more is a slip, and overflows the clock sooner or later."""

_PART = r"(\d+(?:\.\d+)?)\s*([smhd])\s*"
_WHOLE = re.compile(rf"(?:{_PART})+", re.ASCII)
_BARE = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def duration(text: str) -> timedelta:
    """The duration that a text names: numbers with the units s, m, h and d, or a number of seconds.

    Raises:
        ValueError: it names none, or one below a second or above ten years.

    Examples:
        >>> duration("1h30m"), duration("90")
        (datetime.timedelta(seconds=5400), datetime.timedelta(seconds=90))
    """
    text = text.strip()
    if _BARE.fullmatch(text):
        seconds = float(text)
    elif _WHOLE.fullmatch(text):
        parts = re.findall(_PART, text, re.ASCII)
        if len({unit for _, unit in parts}) < len(parts):
            raise ValueError(f"{text} names a unit twice")
        seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    else:
        raise ValueError(f"{text} is not a duration")
    if not 1 <= seconds <= LONGEST:
        raise ValueError(f"{text} is not between a second and ten years")
    return timedelta(seconds=seconds)


def in_words(seconds: float) -> str:
    """A duration for people, in the two largest units.

    Examples:
        >>> in_words(42.4), in_words(3700), in_words(200)
        ('42 s', '1 h 1 min', '3 min 20 s')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
