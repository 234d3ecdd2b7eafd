"""Text of strangers on one line, with nothing in it that a terminal or a reader could be deceived by."""

import re
import unicodedata
from collections.abc import Sequence
from html import escape

HIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Control characters, marks of direction and of joining, surrogates, what has no character, ends of lines."""

LONGEST = 200
"""Characters of a value that a message repeats."""

MOST_LINES = 30
"""Lines of a table in a notebook."""


def visible(text: str) -> str:
    r"""The text with every invisible character written as in a Python string.

    Escape sequences of terminals, ends of lines and marks that turn the direction of writing show as what they are.

    Examples:
        >>> print(visible("a\nb\x1b[31mred \u202etxt"))
        a\nb\x1b[31mred \u202etxt
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    return repr(char)[1:-1] if unicodedata.category(char) in HIDDEN_CATEGORIES or not char.isprintable() else char


def shortened(text: str, longest: int = LONGEST) -> str:
    """The beginning of a long text, with a mark that it goes on.

    Examples:
        >>> shortened("abcdef", 3)
        'abc…'
    """
    return text if len(text) <= longest else f"{text[:longest]}…"


_MARKDOWN = re.compile(
    r"[\\`*\[\]|~$!]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.|^[#=>]|^[+-](?=[\s+-]|$)|^(?=\d+[.)](?:\s|$))|@"
)
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def markdown_text(text: str) -> str:
    r"""The text for a Markdown document, which shows it as it is: no markup, no HTML, no link.

    Examples:
        >>> print(markdown_text("a|b <img> [x](http://y) snake_case -1.5"))
        a\|b &lt;img&gt; \[x\](http\://y) snake_case -1.5
    """
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", visible(text)).translate(_ENTITIES)


def html_table(title: str, lines: Sequence[Sequence[object]], header: Sequence[str] = ()) -> str:
    """A small table for a notebook. Whatever the cells hold shows as text.

    Args:
        title: above the table.
        lines: cells of each line; of more than `MOST_LINES` the first are shown.
        header: above the columns; without it, the first cell of a line names it.

    Examples:
        >>> html_table("<b>", [("a", 1)])
        '<table><caption>&lt;b&gt;</caption><tr><th>a</th><td>1</td></tr></table>'
    """
    rows = [_html_line(header, "th", "th")] if header else []
    rows += [_html_line(cells, "td" if header else "th", "td") for cells in lines[:MOST_LINES]]
    if len(lines) > MOST_LINES:
        rows.append(_html_line([f"and {len(lines) - MOST_LINES:,} more"], "td", "td"))
    return f"<table><caption>{_html_text(title)}</caption>{''.join(rows)}</table>"


def _html_line(cells: Sequence[object], first: str, others: str) -> str:
    """A line whose first cell has one tag, and the others another."""
    tags = [first, *[others] * (len(cells) - 1)]
    return f"<tr>{''.join(f'<{tag}>{_html_text(cell)}</{tag}>' for tag, cell in zip(tags, cells, strict=True))}</tr>"


def _html_text(value: object) -> str:
    return escape(shortened(visible(str(value))))
