"""Text cells that a spreadsheet would take for a formula: written with an apostrophe before them, read without it.

A cell of text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return runs as a formula when somebody opens the
CSV file, whoever wrote the cell. Spreadsheets take an apostrophe at the beginning as the mark of text. Numbers, also
those written as text, and lone signs stay as they are.
"""

import mmap
import re
from pathlib import Path

import polars as pl
import polars.selectors as cs

_WIDE = "\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
_BEGINNING = rf"'*[=+\-@\t\r{_WIDE}]"
_HARMLESS = r"^(?:[+-]?[.,]*\d[\d.,]*(?:[eE][+-]?\d+)?%?|[=+@-])$"
_FORMULA, _NUMBER = re.compile(_BEGINNING), re.compile(_HARMLESS, re.ASCII)
_MARKED = f"^'({_BEGINNING})"
_MARK = re.compile(_MARKED)


def as_spreadsheet_text(cell: str) -> str:
    """The cell as a spreadsheet shows it and does not run it.

    Examples:
        >>> [as_spreadsheet_text(cell) for cell in ("=1+2", "-3.5", "-", "a=b")]
        ["'=1+2", '-3.5', '-', 'a=b']
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.match(cell) else cell


def without_mark(cell: str) -> str:
    """What `as_spreadsheet_text` was given.

    Examples:
        >>> without_mark("'=1+2"), without_mark("'tis")
        ('=1+2', "'tis")
    """
    return _MARK.sub(r"\1", cell)


def for_spreadsheets(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with `as_spreadsheet_text` for every cell of text, and for the names of columns."""
    text = cs.string()
    formula = text.str.contains(f"^{_BEGINNING}") & ~text.str.contains(_HARMLESS.replace(r"\d", "[0-9]"))
    marked = frame.with_columns(pl.when(formula).then(pl.lit("'") + text).otherwise(text).name.keep())
    marked.columns = [as_spreadsheet_text(name) for name in frame.columns]
    return marked


def may_be_marked(file: Path, separator: str) -> bool:
    """Whether some cell of delimited text in UTF-8 seems to have the mark; a file without any is read faster."""
    beginning = rb"[\n\r\"" + re.escape(separator.encode()) + rb"]'+[=+\-@\t\r\xef]"
    with file.open("rb") as stream:
        if not file.stat().st_size:
            return False
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(b"'") >= 0 and re.search(beginning, content) is not None


def unmarked(frame: pl.LazyFrame, names: list[str]) -> pl.LazyFrame:
    """The rows with `without_mark` for every cell of these columns of text."""
    return frame.with_columns(cs.by_name(*names).str.replace(_MARKED, "${1}")) if names else frame
