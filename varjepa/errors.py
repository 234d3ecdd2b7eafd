"""Errors. Their messages say what was found, what was expected and what to do.

The command line maps each class to its exit code. Any other exception is a bug in varjepa.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from varjepa.redaction import redacted
from varjepa.visible import visible

LONGEST_NAME = 300
"""Longer names get no hint."""


class VarjepaError(Exception):
    """Base of every error raised on purpose. Its message holds no secret and nothing invisible.

    Args:
        found: what was found, a whole sentence.
        expected: what was expected, a whole sentence; may be empty.
        fix: what to do, a whole sentence; may be empty.

    Attributes:
        exit_code: of the command line.
        may_pass: whether the same call may succeed later, without a change by the user.
    """

    exit_code = 1
    may_pass = False

    def __init__(self, found: str, *, expected: str = "", fix: str = "") -> None:
        super().__init__(visible(redacted(" ".join(part for part in (found, expected, fix) if part))))


class UserError(VarjepaError):
    """The user's input is invalid (configuration, data or model)."""

    exit_code = 2


class ConfigError(UserError, ValueError):
    """The configuration cannot be read or is invalid."""


class DataError(UserError, ValueError):
    """The table cannot be read or cannot be used for training. Also a `ValueError`, for callers of the library."""


class InterruptedReadError(DataError):
    """A server stopped to answer, or answered that it is busy. Nothing was kept."""

    may_pass = True


class ModelError(UserError):
    """The model cannot be found or read, or does not support the request."""


class SetupError(UserError):
    """The environment (tracking store, server, packages) is not usable as configured."""


class ContractError(VarjepaError):
    """The data broke its contract; nothing was trained and nothing was registered."""

    exit_code = 3


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns a hint for a mistyped name, or an empty string.

    Examples:
        >>> nearest("lable", ["label", "path"])
        'Did you mean "label"?'
        >>> nearest("xyz", ["label", "path"])
        ''
    """
    # Comparing takes the product of both lengths.
    matches = get_close_matches(name, list(names), n=1, cutoff=0.5) if len(name) <= LONGEST_NAME else []
    return f'Did you mean "{matches[0]}"?' if matches else ""


def listed(names: Iterable[str], limit: int = 8) -> str:
    """Joins names for a message, shortening long lists.

    Examples:
        >>> listed(["a", "b"])
        '"a", "b"'
        >>> listed("abc", limit=2)
        '"a", "b" and 1 more'
    """
    items = [f'"{name}"' for name in names]
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {rest} more" if rest > 0 else "")
