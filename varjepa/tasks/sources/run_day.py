"""`{{ run_date }}` in a configuration: the day that a run was planned for."""

import re
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from varjepa.config import DataSection, RetrainConfig
from varjepa.config.data import Parameter
from varjepa.config.load import validated
from varjepa.errors import ConfigError

TEMPLATE = re.compile(r"\{\{(.*?)\}\}")
_RUN_DATE = re.compile(r"\s*run[_ ]date\s*(?:([+-])\s*(\d+)\s*([dw]))?\s*")
DAYS = {"d": 1, "w": 7}
MOST_DAYS = 1000
"""Days of one backfill."""

EARLIEST = 1900
"""Year of its first day: runs are plotted on a calendar, which has an end."""


def with_run_date(config: RetrainConfig, timezone: str | None = None) -> RetrainConfig:
    """The configuration of this run: templates in `data.path`, `data.parameters` and `watch.path` replaced.

    Args:
        config: of the job.
        timezone: of the schedule; None means UTC.

    Raises:
        ConfigError: another template, or there is no such time zone.
    """
    return on_day(config, planned_day(zone_of(timezone)))


def zone_of(name: str | None) -> tzinfo:
    """A time zone by its IANA name; None means UTC.

    Raises:
        ConfigError: there is none of this name.

    Examples:
        >>> str(zone_of("Europe/Berlin")), str(zone_of(None))
        ('Europe/Berlin', 'UTC')
    """
    try:
        return UTC if name is None else ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):  # "Europe" is a folder of zones
        raise ConfigError(f'"{name}" is not a time zone.', expected="Expected, for example, Europe/Berlin.") from None


def on_day(config: RetrainConfig, day: date) -> RetrainConfig:
    """The configuration for the rows of a day; see `with_run_date`."""
    data, place = dated(config.data, day), config.watch.path
    watch = config.watch if place is None else config.watch.model_copy(update={"path": with_day(place, day)})
    same = data == config.data and watch == config.watch
    return config if same else config.model_copy(update={"data": data, "watch": watch})


def require_dated(name: str, texts: Iterable[object]) -> None:
    """Checks that a template is in one of the texts.

    Raises:
        ConfigError: the texts are the same on every day.
    """
    if not any(isinstance(text, str) and TEMPLATE.search(text) for text in texts):
        raise ConfigError(f"{name} is the same on every day.", fix=f"Put {{{{ run_date }}}} into {name}.")


def days_between(first: date, last: date) -> list[date]:
    """All days of a backfill, oldest first.

    Raises:
        ConfigError: the order is wrong, a day is still to come, or there are more than `MOST_DAYS`.

    Examples:
        >>> [day.isoformat() for day in days_between(date(2026, 2, 28), date(2026, 3, 1))]
        ['2026-02-28', '2026-03-01']
    """
    if first > last:
        raise ConfigError(f"--from {first} is after --to {last}.", fix="Exchange them.")
    if first.year < EARLIEST:
        raise ConfigError(f"--from {first} is too early.", expected=f"Expected a day from {EARLIEST} on.")
    if last > (today := datetime.now(UTC).date()) + timedelta(days=1):  # it is tomorrow already in some time zones
        raise ConfigError(f"--to {last} is still to come: today is {today}.")
    count = (last - first).days + 1
    if count > MOST_DAYS:
        raise ConfigError(f"{first} to {last} are {count:,} days.", expected=f"Expected {MOST_DAYS:,} at most.")
    return [first + timedelta(days=number) for number in range(count)]


def planned_day(zone: tzinfo = UTC) -> date:
    """The day that Prefect planned this flow run for; today outside of a run."""
    planned = None
    if "prefect" in sys.modules:  # otherwise there is no run, and importing Prefect to be told so takes a second
        from prefect.runtime import flow_run

        planned = flow_run.scheduled_start_time if flow_run.id else None
    return (planned or datetime.now(UTC)).astimezone(zone).date()


def dated(data: DataSection, day: date) -> DataSection:
    """The section with templates replaced.

    Raises:
        ConfigError: another template.

    Examples:
        >>> dated(DataSection(path="s3://bucket/{{ run_date - 1d }}.csv"), date(2026, 6, 1)).path
        's3://bucket/2026-05-31.csv'
    """
    path = data.path if data.path is None else with_day(data.path, day)
    parameters = {name: _parameter(value, day) for name, value in data.parameters.items()}
    if path == data.path and parameters == data.parameters:
        return data
    return validated(DataSection, data.model_dump() | {"path": path, "parameters": parameters}, "the templates")


def _parameter(value: Parameter, day: date) -> Any:
    # Text that is a day alone becomes a date when the section is built: databases compare dates with dates.
    return with_day(value, day) if isinstance(value, str) else value


def with_day(text: str, day: date) -> str:
    """A text with its templates replaced.

    Raises:
        ConfigError: another template.
    """
    return TEMPLATE.sub(lambda match: _day(match[1], day).isoformat(), text)


def _day(template: str, day: date) -> date:
    match = _RUN_DATE.fullmatch(template)
    if match is None:
        raise ConfigError(
            f'The template "{{{{{template}}}}}" is not known.',
            expected="Expected {{ run_date }}, or with an offset: {{ run_date - 7d }}.",
        )
    try:
        days = int(match[2] or 0) * DAYS[match[3] or "d"]
        return day + timedelta(days=-days if match[1] == "-" else days)
    except (OverflowError, ValueError):  # also of more digits than Python reads
        raise ConfigError(f'The day of the template "{{{{{template[:80]}}}}}" is beyond the calendar.') from None
