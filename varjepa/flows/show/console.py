"""The console for people: stderr, so that stdout contains only the JSON object."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from varjepa.visible import visible

console = Console(stderr=True, highlight=False, emoji=False)


_P = ParamSpec("_P")


def plain(name: str) -> str:
    r"""A name that a user gave, on one line, and with `[k]` as it stands instead of read as markup.

    Escape sequences, which a terminal would obey, are shown as what they are.

    Examples:
        >>> print(plain("a\nb"))
        a\nb
    """
    return escape(visible(name))


def whole_table(*titles: str, **options: Any) -> Table:
    """A table that breaks what is too long for a column instead of cutting it.

    Args:
        titles: of the columns.
        options: of `rich.table.Table`.
    """
    return Table(*(Column(title, overflow="fold") for title in titles), **options)


WHOLE = 12
"""Words and numbers of a table that are no longer than this are never broken."""


def print_table(table: Table, on: Console) -> None:
    """Prints a table on a terminal of any width: where it is too narrow, lines are longer than the terminal.

    A number of which an end is missing says another number.

    Args:
        table: of texts.
        on: where to print.
    """
    for column in table.columns:
        words = [word for cell in (column.header, *column.cells) for word in Text.from_markup(str(cell)).plain.split()]
        column.overflow, column.min_width = "fold", min(WHOLE, max(map(cell_len, words), default=0))
    on.print(table, crop=False)


def shows_plain(show: Callable[_P, None]) -> Callable[_P, None]:
    """Makes every text in the answers that a function shows `plain`, before the function adds its own markup."""

    @wraps(show)
    def shown(*args: _P.args, **kwargs: _P.kwargs) -> None:
        show(*map(_plain, args), **{name: _plain(value) for name, value in kwargs.items()})

    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
