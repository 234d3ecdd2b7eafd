"""The text of a SELECT: what it may be, and where values of parameters belong in it."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from varjepa.errors import ConfigError, nearest

_BACKSLASHED = r"'(?:[^'\\]|''|\\.)*'"
_COMMON = r'"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$'
_NAME = r"(?<![:\w]):(?P<name>[A-Za-z_]\w*)"
_PARTS = {
    True: re.compile(rf"{_BACKSLASHED}|{_COMMON}|{_NAME}", re.DOTALL),
    False: re.compile(rf"[eE]{_BACKSLASHED}|'(?:[^']|'')*'|{_COMMON}|{_NAME}", re.DOTALL),
}
"""Texts, quoted names, comments and `:name`, with and without backslashes in texts (as in MySQL)."""

READS = ("select", "with", "values", "table", "from")
"""First words of statements that return rows and change nothing."""


def one_select(query: str, *, backslashes: bool = False) -> str:
    """The query without a semicolon at its end, if it is one statement that only reads.

    The transaction is read-only as well. This check comes first because its words are clearer, and because some
    databases write files from a SELECT.

    Raises:
        ConfigError: it is empty, several statements, or begins with another word.
    """
    # Texts and comments may contain anything, so only what is around them is looked at.
    bare = " ".join(_PARTS[backslashes].sub(lambda match: _blank(match[0]), query).split())
    words = bare.lower().lstrip("( ").split(" ")
    if not bare.rstrip(";").strip() or words[0] not in READS:
        raise ConfigError(
            f'data.query begins with "{words[0].upper()}".',
            expected="Expected one SELECT (or WITH ... SELECT): varjepa reads databases and never changes them.",
        )
    if ";" in bare.rstrip("; "):
        raise ConfigError("data.query contains several statements.", expected="Expected one SELECT.")
    if re.search(r"\binto\b", bare, re.IGNORECASE):
        raise ConfigError("data.query contains INTO, which writes.", expected="Expected one SELECT that only reads.")
    return query.strip().rstrip(";").rstrip()


def _blank(part: str) -> str:
    """A quoted part or a comment as a blank; a name of a parameter stays."""
    return part if part.startswith(":") else " "


def bound(
    query: str, parameters: Mapping[str, Any], placeholder: Callable[[str, int], str], *, backslashes: bool = False
) -> tuple[str, list[str]]:
    """Replaces `:name` by the placeholders of a driver.

    Args:
        query: the SELECT.
        parameters: name -> value; the values are not looked at.
        placeholder: of the driver, from a name and the number of its first use, counted from 1.
        backslashes: whether a backslash escapes a quote, as in MySQL.

    Returns:
        The text, and the name of every placeholder in it, in their order.

    Raises:
        ConfigError: the query does not use a parameter.

    Examples:
        >>> bound("SELECT ':a' FROM t WHERE a > :a", {"a": 1}, lambda name, number: f"${number}")
        ("SELECT ':a' FROM t WHERE a > $1", ['a'])
    """
    names: list[str] = []

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in parameters:  # a text, a comment, or a colon of the language itself
            return match[0]
        names.append(name)
        return placeholder(name, [*dict.fromkeys(names)].index(name) + 1)

    text = _PARTS[backslashes].sub(replaced, query)
    for name in parameters:
        if name not in names:
            hint = nearest(name, _names(query, backslashes=backslashes)) or "Write :NAME where the value belongs."
            raise ConfigError(f'data.parameters has "{name}", which data.query does not use.', fix=hint)
    return text, names


def _names(query: str, *, backslashes: bool) -> Iterator[str]:
    return (match["name"] for match in _PARTS[backslashes].finditer(query) if match["name"])


def whole_table(name: str, quote: str) -> str:
    """The SELECT of all rows of a table, whose name is quoted.

    Args:
        name: `TABLE` or `SCHEMA.TABLE`; a part with a dot in it stands in double quotes.
        quote: the two characters around a name.

    Examples:
        >>> whole_table('shop."order lines"', '``')
        'SELECT * FROM `shop`.`order lines`'
    """
    return f"SELECT * FROM {quoted(name, quote)}"  # noqa: S608 (the name is quoted)


def names_of(table: str) -> list[str]:
    """The parts of the name of a table: schema and table, or the table alone.

    Examples:
        >>> names_of('shop."order.lines"')
        ['shop', 'order.lines']
    """
    return [part.strip('"') for part in re.findall(r'"[^"]+"|[^.]+', table)]


def quoted(name: str, quote: str) -> str:
    """The name of a table, each of its parts in quotes."""
    end = quote[1]
    return ".".join(quote[0] + part.replace(end, end * 2) + end for part in names_of(name))
