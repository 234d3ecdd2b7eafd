"""Renders the self-contained pages of reports from the templates beside this file, and writes their tables.

Templates get plain values and escape all of them: names of columns and what cells hold may be anything.
"""

import base64
import csv
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from varjepa.data.files.formulas import as_spreadsheet_text
from varjepa.visible import markdown_text, visible

_CODE = re.compile(r"`([^`]+)`")

Table = tuple[str, list[str], list[list[str]]]
"""A table of a report: title, header, lines."""


class Picture(NamedTuple):
    """A PNG file inside a page.

    Attributes:
        name: what it shows, in a word.
        data: the file, in base 64.
    """

    name: str
    data: str

    @classmethod
    def of(cls, file: Path) -> "Picture":
        """The file, named by its stem."""
        data = base64.b64encode(file.read_bytes()).decode()
        # Browsers skip line ends in addresses: whoever searches a page for links finds none inside of pictures.
        return cls(file.stem, data.replace("http", "htt\np"))


def _seen(value: Any) -> Any:
    """What a template puts into the page: text without invisible characters; what macros made, as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _with_code(text: str) -> Markup:
    """A sentence in which commands stand between backticks, as a page shows it; everything in it is text."""
    parts = enumerate(_CODE.split(visible(text)))
    return Markup().join(Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in parts)


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("varjepa.tasks.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, finalize=_seen,
    )  # fmt: skip
    templates.filters["with_code"] = _with_code
    return templates


def render(template: str, **content: Any) -> str:
    """A page that needs nothing beside it.

    Args:
        template: name of a file in `templates`.
        content: what the template asks for, as plain text, numbers and sequences of them.

    Raises:
        jinja2.UndefinedError: the template asks for something that is not there.
    """
    return _templates().get_template(template).render(content)


def markdown_tables(sections: Iterable[Table]) -> str:
    """Tables with their titles as Markdown."""
    lines: list[str] = []
    for title, header, body in sections:
        lines += [f"### {markdown_text(title)}", "", _markdown_line(header), "|" + " --- |" * len(header)]
        lines += map(_markdown_line, body)
        lines.append("")
    return "\n".join(lines)


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(markdown_text, cells)) + " |"


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as CSV, UTF-8 with LF. Spreadsheets show text cells as text (see `varjepa.data.files.formulas`)."""
    lines = [[as_spreadsheet_text(cell) for cell in line] for line in [header, *rows]]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
