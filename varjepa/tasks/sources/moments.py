"""What `data.at` says: a number of a version or snapshot, or a time."""

from datetime import UTC, datetime

from varjepa.errors import ConfigError


def moment(at: str) -> datetime:
    """The time that a text names; without a time zone it is in UTC.

    Raises:
        ConfigError: it is not a time.

    Examples:
        >>> moment("2026-05-31").isoformat()
        '2026-05-31T00:00:00+00:00'
    """
    try:
        time = datetime.fromisoformat(at.strip())
    except ValueError:
        raise ConfigError(
            f'data.at is "{at}", which is neither a number nor a time.',
            expected="Expected the number of a version or snapshot, or a time such as 2026-05-31T12:00:00Z.",
        ) from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
