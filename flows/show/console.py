"""The console for people: stderr, so that stdout contains only the JSON object."""

from rich.console import Console
from rich.markup import escape

console = Console(stderr=True, highlight=False)


def plain(name: str) -> str:
    r"""A name that a user gave, on one line, and with `[k]` as it stands instead of read as markup.

    Examples:
        >>> print(plain("a\nb"))
        a\nb
    """
    return escape("".join(char if char.isprintable() else repr(char)[1:-1] for char in name))
