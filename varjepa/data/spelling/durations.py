"""Times of day and durations, both as seconds."""

import polars as pl

from varjepa.data.spelling.gaps import DASHES

ZONE = r"(?:z|utc|gmt|(?:utc|gmt)?[+-]\d{2}:?\d{2}|(?:utc|gmt)?[+-]\d{1,2})"
_TIME = (
    r"(?i)^(?P<hour>\d{1,2})(?:[:h.](?P<minute>\d{2}))?(?:[:m](?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?s?"
    rf"\s*(?P<half>[ap]\.?\s?m\.?)?\s*(?:uhr|h)?\s*(?P<zone>{ZONE})?$"
)
_OFFSET = r"(?i)(?P<sign>[+-])(?P<hours>\d{1,2}):?(?P<minutes>\d{2})?$"
_CLOCK_LIKE = r"^[+-]?\d+:\d{2}(?::\d{2}(?:[.,]\d+)?)?$"

_NUMBER = r"\d+(?:[.,]\d+)?"
_UNITS: dict[str, tuple[str, float]] = {
    "weeks": (r"w|wks?|weeks?|wochen?|semaines?|semanas?", 604_800.0),
    "days": (r"d|days?|tage?n?|jours?|j|d[ií]as?|dagen", 86_400.0),
    "hours": (r"h|hrs?|hours?|stunden?|std\.?|heures?|horas?|uur", 3600.0),
    "minutes": (r"m|mins?\.?|minutes?|minuten?|minutos?", 60.0),
    "seconds": (r"s|secs?\.?|seconds?|sekunden?|sek\.?|secondes?|segundos?", 1.0),
    "thousandths": (r"ms|msecs?|milliseconds?|millisekunden?", 1e-3),
}
_WORDS = (
    r"(?i)^(?P<sign>[+-])?\s*"
    + "".join(rf"(?:(?P<{name}>{_NUMBER})\s*(?:{words})[\s,]*(?:and\s+)?)?" for name, (words, _) in _UNITS.items())
    + r"(?:(?P<clock>[+-]?\d+:\d{2}(?::\d{2}(?:\.\d+)?)?))?$"
)
_ISO = (
    rf"(?i)^(?P<sign>[+-])?p(?:(?P<weeks>{_NUMBER})w)?(?:(?P<days>{_NUMBER})d)?"
    rf"(?:t(?:(?P<hours>{_NUMBER})h)?(?:(?P<minutes>{_NUMBER})m)?(?:(?P<seconds>{_NUMBER})s)?)?$"
)


def read_times(cells: pl.Series) -> pl.Series:
    """Seconds since midnight from times of day such as 13:45, 1:45 PM and 13:45:10.5, in UTC where a zone is given.

    Null where a cell is missing or no time.

    Examples:
        >>> read_times(pl.Series(["13:45", "1:45 pm", "25:00"])).to_list()
        [49500.0, 49500.0, None]
    """
    parts = cells.str.strip_chars().str.extract_groups(_TIME).struct.unnest()
    hour, minute, second = (_number(parts[name]) for name in ("hour", "minute", "second"))
    half = parts["half"].str.slice(0, 1).str.to_lowercase()
    # A bare number is a time only with a half of the day (3 pm).
    told = parts["minute"].is_not_null() | half.is_not_null() | cells.str.contains("(?i)h|uhr")
    minute, second = minute.fill_null(0.0), second.fill_null(0.0)
    fraction = ("0." + parts["fraction"].fill_null("0")).cast(pl.Float64)
    of_twelve = half.is_not_null() & hour.is_between(1, 12)
    turned = (hour % 12 + 12.0 * (half == "p").cast(pl.Float64)).zip_with(of_twelve, hour)
    valid = (hour < 24) & (minute < 60) & (second < 61) & (half.is_null() | of_twelve) & told
    seconds = turned * 3600 + minute * 60 + second + fraction - _offset(parts["zone"])
    return seconds.set(valid.fill_null(value=False).not_(), None).rename(cells.name)


def _offset(zones: pl.Series) -> pl.Series:
    """Seconds that local time is ahead of UTC; 0 without a zone."""
    if not zones.is_not_null().any():
        return pl.Series([0.0])
    parts = zones.str.extract_groups(_OFFSET).struct.unnest()
    seconds = _number(parts["hours"]).fill_null(0.0) * 3600 + _number(parts["minutes"]).fill_null(0.0) * 60
    return (-seconds).zip_with((parts["sign"] == "-").fill_null(value=False), seconds)


def read_durations(cells: pl.Series) -> pl.Series:
    """Seconds from durations such as 1:02:03, 75:30 (minutes and seconds), P1DT2H, 2 days 03:00:00 and 2h 30min.

    Null where a cell is missing or no duration.

    Examples:
        >>> read_durations(pl.Series(["1:02:03", "P1DT2H", "2 days 03:00:00", "2h 30min", "soon"])).to_list()
        [3723.0, 93600.0, 183600.0, 9000.0, None]
    """
    text = cells.str.replace_all(DASHES, "-").str.strip_chars()
    if text.str.contains(_CLOCK_LIKE).all():
        return _clock(text)
    spelled = text.str.extract_groups(_ISO).struct.unnest()
    worded = text.str.extract_groups(_WORDS).struct.unnest()
    sums = []
    for parts in (spelled, worded):
        total, told = pl.zeros(len(text), eager=True), pl.repeat(value=False, n=len(text), eager=True)
        for name, (_, seconds) in _UNITS.items():
            if name in parts.columns:
                part = _number(parts[name])
                total, told = total + part.fill_null(0.0) * seconds, told | part.is_not_null()
        if "clock" in parts.columns:
            clock = _clock(parts["clock"])
            total, told = total + clock.fill_null(0.0), told | clock.is_not_null()
        # -1 days +23:00:00 is minus one day, and 23 hours more: only the days are negative.
        days = _number(parts["days"]).fill_null(0.0) * 86_400
        signed = (
            parts["clock"].str.starts_with("+").fill_null(value=False) if "clock" in parts.columns else told & False
        )
        negative = (parts["sign"] == "-").fill_null(value=False)
        total = (total - 2 * days).zip_with(negative & signed, (-total).zip_with(negative, total))
        sums.append(total.set(told.not_(), None))
    return sums[0].zip_with(sums[0].is_not_null(), sums[1]).rename(cells.name)


def _clock(text: pl.Series) -> pl.Series:
    """Seconds from hours:minutes:seconds, or minutes:seconds."""
    parts = text.str.extract_groups(
        r"^(?P<sign>[+-])?(?P<first>\d+):(?P<second>\d{2})(?::(?P<third>\d{2}(?:[.,]\d+)?))?$"
    ).struct.unnest()
    first, second, third = (_number(parts[name]) for name in ("first", "second", "third"))
    both = first * 3600 + second * 60 + third
    seconds = both.zip_with(third.is_not_null(), first * 60 + second)
    seconds = seconds.set(((second >= 60) | (third >= 60)).fill_null(value=False), None)
    return (-seconds).zip_with((parts["sign"] == "-").fill_null(value=False), seconds).rename(text.name)


def _number(digits: pl.Series) -> pl.Series:
    return digits.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
