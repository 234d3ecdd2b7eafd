"""Schedules of Prefect."""

from prefect.schedules import Cron, Interval, Schedule

from varjepa.config.durations import duration
from varjepa.errors import ConfigError
from varjepa.tasks.sources.run_day import zone_of


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
    try:
        zone_of(timezone)
        if cron is not None:
            return Cron(cron, timezone=timezone)
        return Interval(duration(interval or ""), timezone=timezone)
    except ValueError as error:
        option = f'--cron "{cron}"' if cron is not None else f"--interval {interval}"
        raise ConfigError(
            f"{option}{f' in {timezone}' if timezone else ''} is not a valid schedule.",
            expected='Expected, for example, --cron "0 3 * * *" --timezone Europe/Berlin, or --interval 1h.',
        ) from error
