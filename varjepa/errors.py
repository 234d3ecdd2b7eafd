"""Errors. Their messages say what was found, what was expected and what to do.

The command line maps each class to its exit code. Any other exception is a bug in varjepa.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from numbers import Integral
from pathlib import Path

from varjepa.redaction import redacted
from varjepa.visible import visible

LONGEST_NAME = 300
"""Longer names get no hint."""

MOST_HINTS = 8
"""Of many wrong names only the first get one."""


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


def require_whole(value: int, name: str, least: int) -> None:
    """Checks an argument that is a whole number.

    Args:
        value: of the argument.
        name: of the argument.
        least: smallest value.

    Raises:
        ConfigError: it is smaller, or no whole number.
    """
    if not isinstance(value, Integral) or value < least:
        raise ConfigError(f"{name} is {value!r}.", expected=f"Expected a whole number from {least} on.")


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns a hint for a mistyped name, or an empty string.

    Examples:
        >>> nearest("lable", ["label", "path"])
        'Did you mean "label"?'
        >>> nearest("age", ["a", "e"]), nearest("xyz", ["label", "path"])
        ('', '')
        >>> nearest("learning_rate", ["lr", "seed"])
        'Did you mean "lr"?'
    """
    names = list(names)
    # Comparing takes the product of both lengths. A name of less than half the length is not the same one mistyped.
    alike = [other for other in names if len(name) / 2 <= len(other) <= len(name) * 2]
    matches = get_close_matches(name, alike, n=1, cutoff=0.5) if len(name) <= LONGEST_NAME else []
    initials = "".join(word[:1] for word in name.split("_"))
    matches = matches or [other for other in names if len(initials) > 1 and other == initials]
    return f'Did you mean "{matches[0]}"?' if matches else ""


def nearest_path(path: Path, others: Iterable[Path]) -> str:
    """Returns a hint for a mistyped path, or an empty string. Only what stands before the ending makes names alike.

    Args:
        path: that does not exist.
        others: in the same folder, that would do.

    Examples:
        >>> nearest_path(Path("data/poeple.csv"), [Path("data/people.csv"), Path("data/houses.csv")])
        'Did you mean "data/people.csv"?'
        >>> nearest_path(Path("data/rows.csv"), [Path("data/people.csv")])
        ''
    """
    stems: dict[str, list[str]] = {}
    for other in others:
        stems.setdefault(other.name.partition(".")[0].lower(), []).append(other.name)
    wanted = path.name.partition(".")[0].lower()
    matches = get_close_matches(wanted, stems, n=1, cutoff=0.7) if len(wanted) <= LONGEST_NAME else []
    if not matches:
        return ""
    name = get_close_matches(path.name, stems[matches[0]], n=1, cutoff=0)[0]
    return f'Did you mean "{path.with_name(name)}"?'


def suggested(missing: Sequence[str], names: Iterable[str], otherwise: str) -> str:
    """Returns a hint for names that do not exist: for each the nearest that does.

    Args:
        missing: the names.
        names: that exist.
        otherwise: what to say if none is near.

    Examples:
        >>> suggested(["lable"], ["label", "path"], "Check it.")
        'Did you mean "label"?'
        >>> suggested(["lable", "xyz", "paht"], ["label", "path"], "Check them.")
        'Did you mean "label" for "lable", "path" for "paht"?'
        >>> suggested(["xyz"], ["label", "path"], "Check it.")
        'Check it.'
    """
    known = list(names)
    hints = {name: hint for name in missing[:MOST_HINTS] if (hint := nearest(name, known))}
    if not hints or len(missing) == 1:
        return next(iter(hints.values()), otherwise)
    pairs = [f'{hint.removeprefix("Did you mean ").removesuffix("?")} for "{name}"' for name, hint in hints.items()]
    return f"Did you mean {', '.join(pairs)}?"


def reason_of(error: BaseException) -> str:
    """Why a run has ended, for whoever looks at it later.

    Examples:
        >>> reason_of(KeyboardInterrupt())
        'It was interrupted by Ctrl-C, a signal or a cancellation (KeyboardInterrupt).'
        >>> reason_of(DataError("No rows.")), reason_of(KeyError("a"))
        ('No rows.', "KeyError('a')")
    """
    if isinstance(error, VarjepaError):
        return str(error)
    if isinstance(error, Exception):
        return repr(error)
    return f"It was interrupted by Ctrl-C, a signal or a cancellation ({type(error).__name__})."


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
