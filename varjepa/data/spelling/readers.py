"""Reads the text of a column by its spelling."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import polars as pl

from varjepa.config.data import ColumnSection
from varjepa.data.spelling.dates import EPOCHS, holds_clock, is_date_pattern, read_dates
from varjepa.data.spelling.durations import read_durations, read_times
from varjepa.data.spelling.gaps import are_gaps
from varjepa.data.spelling.numbers import NumberStyle, read_numbers
from varjepa.errors import ConfigError

TEXT, TIME, DURATION = "text", "time of day", "duration"
DAY_SECONDS = 86_400.0

_INEXACT = 2**53
"""From here on floats do not hold every whole number."""

Family = Literal["numbers", "dates", "seconds"]


@dataclass(frozen=True)
class Reader:
    """Reads text in one or several formats of one family; the first that fits a cell counts.

    Attributes:
        formats: see `ColumnSection.format`.
        gaps: words that mean a missing cell, beside the usual ones.
    """

    formats: tuple[str, ...]
    gaps: tuple[str, ...] = ()

    @cached_property
    def family(self) -> Family:
        """What the values are."""
        return family_of(self.formats[0])

    @property
    def clock(self) -> bool:
        """Whether a pattern itself has a time of day."""
        return any(map(holds_clock, self.formats)) if self.family == "dates" else False

    def values(self, cells: pl.Series) -> pl.Series:
        """Values of cells of any type: Float64, or `Datetime("us")` for dates. Null where missing or unread."""
        if cells.dtype != pl.String:
            return self._native(cells)
        values = _read(cells, self.formats[0])
        for other in self.formats[1:]:
            rest = (values.is_null() & cells.is_not_null()).arg_true()
            if not len(rest):
                break
            values = values.scatter(rest, _read(cells.gather(rest), other))
        return values.rename(cells.name)

    def unread(self, cells: pl.Series, values: pl.Series) -> pl.Series:
        """Whether each cell is text that is neither a value nor a gap."""
        if values.null_count() == cells.null_count():
            return pl.repeat(value=False, n=len(cells), eager=True)
        unread = cells.is_not_null() & values.is_null()
        if cells.dtype != pl.String:
            return unread
        places = unread.arg_true()
        return unread.scatter(places, are_gaps(cells.gather(places), self.gaps).not_())

    def plain(self, cells: pl.Series) -> pl.Series:
        """Text in the plain spelling: 1234.5, ISO dates, null for gaps. Cells that cannot be read stay as they are."""
        values = self.values(cells)
        text = plain_text(cells, values)
        unread = self.unread(cells, values)
        return text.zip_with(unread.not_(), cells.cast(pl.String))

    def _native(self, cells: pl.Series) -> pl.Series:
        """Values of cells that hold no text."""
        dtype = cells.dtype
        if self.family != "dates":
            return native_numbers(cells)
        if dtype in (pl.Date, pl.Datetime):
            return cells.cast(pl.Datetime("us"))
        if self.formats[0] in EPOCHS:
            return read_dates(cells, self.formats[0])
        whole = cells.cast(pl.Float64, strict=False).cast(pl.Int64, strict=False).cast(pl.String)
        return self.values(whole)


def family_of(form: str) -> Family:
    """The family of a format.

    Raises:
        ConfigError: it is no format.
    """
    if form in (TIME, DURATION):
        return "seconds"
    if is_date_pattern(form):
        return "dates"
    if NumberStyle.of(form) is not None:
        return "numbers"
    raise ConfigError(
        f'"{form}" is no format of a column.',
        expected="Expected 1234.5 as the column writes it (1.234,5), a date pattern (%d.%m.%Y), "
        + ", ".join([*EPOCHS, TIME, DURATION]) + " or text.",
    )  # fmt: skip


def reader_of(section: ColumnSection, name: str = "") -> Reader | None:
    """The reader for a column that is spelled so; None if its cells stay as they are, or its format is not known.

    Raises:
        ConfigError: a format is none, or formats of different families are mixed.
    """
    formats = (section.format,) if isinstance(section.format, str) else section.format or ()
    if not formats or formats == (TEXT,):
        return None
    try:
        families = {family_of(form) for form in formats}
    except ConfigError as error:
        raise ConfigError(f"data.columns.{name}.format: {error}") from None
    if len(families) > 1:
        raise ConfigError(
            f"data.columns.{name}.format mixes {' and '.join(sorted(families))}.",
            expected="Expected formats of one kind.",
        )
    return Reader(formats, tuple(section.gaps))


def _read(cells: pl.Series, form: str) -> pl.Series:
    if form == TIME:
        return _within_day(read_times(cells))
    if form == DURATION:
        return read_durations(cells)
    if is_date_pattern(form):
        return read_dates(cells, form)
    style = NumberStyle.of(form)
    return read_numbers(cells, style or NumberStyle())


def _within_day(seconds: pl.Series) -> pl.Series:
    """Times of day: half past midnight two hours ahead of UTC is an hour and a half before midnight."""
    away = (seconds < 0) | (seconds > DAY_SECONDS)  # the leap second stays where it is
    return (seconds % DAY_SECONDS).zip_with(away.fill_null(value=False), seconds).rename(seconds.name)


def native_numbers(cells: pl.Series) -> pl.Series:
    """Numbers as Float64; durations and times of day in seconds."""
    # Rounded, as Polars divides by multiplying with an inverse: 16:38 would be 59,880.00000000001 seconds.
    if cells.dtype == pl.Duration:
        return (cells.dt.total_microseconds() / 1e6).round(6)
    if cells.dtype == pl.Time:
        return (cells.cast(pl.Int64) / 1e9).round(9)
    return cells.cast(pl.Float64, strict=False)


def whole_values(cells: pl.Series, values: pl.Series) -> pl.Series:
    """Values as Int64, null where they are no whole numbers.

    Above 2**53 a float does not hold every whole number, and keys that differ would become equal: there the cells
    themselves are read, which must be in the plain spelling.

    Args:
        cells: of any type.
        values: what `Reader.values` found in them, Float64.
    """
    exact = ((values == values.round()) & (values.abs() < _INEXACT)).fill_null(value=False)
    whole = values.set(~exact, None).cast(pl.Int64)
    large = (values.abs() >= _INEXACT).fill_null(value=False)
    if not large.any():
        return whole
    plain = cells.str.strip_chars() if cells.dtype == pl.String else cells
    return plain.cast(pl.Int64, strict=False).zip_with(large, whole)


def plain_text(cells: pl.Series, values: pl.Series) -> pl.Series:
    """What was found in cells, as every program reads it: numbers, and moments."""
    if values.dtype == pl.Datetime:
        day = (values == values.dt.truncate("1d")).fill_null(value=True)
        return values.dt.strftime("%Y-%m-%d").zip_with(day, values.dt.strftime("%Y-%m-%d %H:%M:%S%.f"))
    whole = whole_values(cells, values)
    return whole.cast(pl.String).zip_with(whole.is_not_null(), values.cast(pl.String))
