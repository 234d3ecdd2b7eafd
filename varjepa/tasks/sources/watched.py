"""Where the new rows of `varjepa watch` lie."""

from datetime import date

from varjepa.config import RetrainConfig
from varjepa.errors import ConfigError
from varjepa.tasks.sources.address import section_at
from varjepa.tasks.sources.run_day import on_day


def require_rows(config: RetrainConfig) -> str:
    """Where the new rows lie.

    Raises:
        ConfigError: the job names no place, or one that cannot be read as it says.
    """
    place, query = config.watch.path or config.data.path, config.watch.query
    if place is None:
        raise ConfigError("watch.path is not set, and the table of the job lies at no path.", fix="Set watch.path.")
    if config.watch.path is not None:
        section_at(config.data, place, query=query)
    elif query is not None:
        raise ConfigError("watch.query is a query of watch.path, which is missing.", fix="Set watch.path, too.")
    return place


def depends_on_day(config: RetrainConfig) -> bool:
    """Whether a template chooses the rows that are compared."""
    one, other = (on_day(config, day) for day in (date(2026, 1, 1), date(2026, 1, 2)))
    return one.watch != other.watch if config.watch.path else one.data != other.data


def require_days(config: RetrainConfig) -> None:
    """Checks that each day has rows of its own.

    Raises:
        ConfigError: the job names no place, or the same one for every day.
    """
    place = require_rows(config)
    if not depends_on_day(config):
        raise ConfigError(
            f"The rows at {place} are the same on every day.",
            fix="Put {{ run_date }} into watch.path, data.path or data.parameters.",
        )
