"""Schedules of Prefect. What is plainly wrong is refused before Prefect is imported, which takes seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from varjepa.amounts import counted
from varjepa.config.durations import duration
from varjepa.errors import ConfigError
from varjepa.tasks.sources.run_day import zone_of

if TYPE_CHECKING:
    from prefect.schedules import Schedule

FIELDS = {"minute": (0, 59), "hour": (0, 23), "day of month": (1, 31), "month": (1, 12), "day of week": (0, 7)}
"""The fields of a cron schedule -> their smallest and largest number."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Days of each month, at most."""


def schedule_of(cron: str | None, interval: str | None, timezone: str | None) -> Schedule:
    """The Prefect schedule for these options.

    Args:
        cron: five fields: minute, hour, day of month, month, day of week.
        interval: a duration, such as 1h30m; seconds without a unit (see `varjepa.config.durations`).
        timezone: IANA name; None means UTC.

    Raises:
        ConfigError: both or neither of `cron` and `interval` are given, or one is invalid.

    Examples:
        >>> schedule_of(None, "90m", None).interval
        datetime.timedelta(seconds=5400)
    """
    if (cron is None) == (interval is None):
        raise ConfigError("A schedule needs --cron or --interval.", expected="Expected exactly one of them.")
    zone_of(timezone)
    if cron is not None:
        _require_fields(cron)
        _require_runs(cron)
    try:
        every = None if interval is None else duration(interval)
        from prefect.schedules import Cron, Interval

        return Cron(str(cron), timezone=timezone) if every is None else Interval(every, timezone=timezone)
    except ValueError as error:
        option = f'--cron "{cron}"' if cron is not None else f"--interval {interval}"
        raise ConfigError(
            f"{option}{f' in {timezone}' if timezone else ''} is not a valid schedule.",
            expected='Expected, for example, --cron "0 3 * * *" --timezone Europe/Berlin, or --interval 1h.',
        ) from error


def _require_fields(cron: str) -> None:
    """Checks that there are five fields, and numbers in their ranges; Prefect checks the rest.

    Six or seven fields, which Prefect takes, would run every second.

    Raises:
        ConfigError: there are not five, or a number is none of its field.
    """
    fields = cron.split()
    if len(fields) != len(FIELDS) and not cron.startswith("@"):
        raise ConfigError(
            f'--cron "{cron}" has {counted(len(fields), "field")}.', expected=f"Expected five: {', '.join(FIELDS)}."
        )
    for field, (name, (low, high)) in zip(fields, FIELDS.items(), strict=False):
        ranges = " ".join(item.partition("/")[0] for item in field.split(","))  # after a slash stands a step
        beyond = [number for number in re.findall(r"\d+", ranges) if not low <= int(number) <= high]
        if beyond:
            raise ConfigError(f'--cron "{cron}" has {beyond[0]} as its {name}.', expected=f"Expected {low} to {high}.")


def _require_runs(cron: str) -> None:
    """Checks what Prefect takes, but nobody means: some days never come.

    Raises:
        ConfigError: the schedule is such a one.
    """
    fields = cron.lower().split()
    if len(fields) == 5 and fields[4] in ("*", "?") and (days := _first_days(fields[2])):
        months = list(_months(fields[3]))
        if months and min(days) > max(DAYS[month - 1] for month in months):
            raise ConfigError(
                f'--cron "{cron}" never runs: no such month has a day {min(days)}.', fix="Choose another day or month."
            )


def _first_days(field: str) -> list[int]:
    """The first day of each item of a list; none where an item is no number."""
    found = [re.match(r"\d+", item) for item in field.split(",")]
    return [int(match[0]) for match in found if match] if all(found) else []


def _months(field: str) -> Iterator[int]:
    """The months of a list of months and ranges; none where it has other items, such as every third month."""
    numbered = re.sub("|".join(MONTHS), lambda match: str(MONTHS.index(match[0]) + 1), field)
    items = [re.fullmatch(r"(\d+)(?:-(\d+))?", item) for item in numbered.split(",")]
    if all(items):
        for item in filter(None, items):
            yield from range(int(item[1]), int(item[2] or item[1]) + 1)
