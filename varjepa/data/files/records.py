"""Splits a sample of delimited text into records. It keeps what a fast reader forgets: which cells were quoted."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Dialect:
    """How records are written.

    Attributes:
        separator: between cells. A blank means runs of blanks and tabs.
        quote: around cells, or None.
        escape: character that takes the meaning from the next one, or None.
        padded: blanks follow each separator and are no part of the cells.
        comment: lines that start with this text are left out, or None.
    """

    separator: str = ","
    quote: str | None = '"'
    escape: str | None = None
    padded: bool = False
    comment: str | None = None


@dataclass(frozen=True)
class Record:
    """A row of a sample.

    Attributes:
        cells: their text, without quotes.
        quoted: whether each cell was quoted.
        line: number of its first line, from 1.
        stray: text followed a closing quote, or a quote was not closed.
    """

    cells: tuple[str, ...]
    quoted: tuple[bool, ...]
    line: int
    stray: bool

    @property
    def blank(self) -> bool:
        """True for a line without a cell."""
        return len(self.cells) == 1 and not self.quoted[0] and not self.cells[0].strip()

    @property
    def width(self) -> int:
        """Number of cells."""
        return len(self.cells)


def records(text: str, dialect: Dialect) -> Iterator[Record]:
    """The records of a text. The last one may be cut."""
    place, line = 0, 1
    while place < len(text):
        if dialect.comment and text.startswith(dialect.comment, place):
            end = LINE_END.search(text, place)
            place, line = end.end() if end else len(text), line + 1
            continue
        record, end_of_record = _record(text, place, line, dialect)
        yield record
        line += len(LINE_END.findall(text, place, end_of_record))
        place = end_of_record


def _record(text: str, place: int, line: int, dialect: Dialect) -> tuple[Record, int]:
    cells: list[str] = []
    quoted: list[bool] = []
    stray = False
    while True:
        if dialect.padded or dialect.separator == " ":
            place = _past(" \t" if dialect.separator == " " else " ", text, place)
        cell, was_quoted, wrong, place = _cell(text, place, dialect)
        stray |= wrong
        ends = place >= len(text) or text[place] in "\r\n"
        if not (ends and dialect.separator == " " and cells and not cell and not was_quoted):
            cells.append(cell)
            quoted.append(was_quoted)
        if ends:
            end = LINE_END.match(text, place)
            return Record(tuple(cells), tuple(quoted), line, stray), end.end() if end else len(text)
        place += 1


def _past(blanks: str, text: str, place: int) -> int:
    while place < len(text) and text[place] in blanks:
        place += 1
    return place


def _cell(text: str, place: int, dialect: Dialect) -> tuple[str, bool, bool, int]:
    """A cell, whether it was quoted, whether quotes in it are wrong, and the place of what ends it."""
    plain, inside = _patterns(dialect)
    if dialect.quote is None or not text.startswith(dialect.quote, place):
        end = plain.match(text, place).end()  # type: ignore[union-attr]  # matches the empty text, too
        cell = text[place:end]
        return _unescaped(cell, dialect), False, False, end
    body = inside.match(text, place + 1)
    end = body.end() if body else place + 1
    if not text.startswith(dialect.quote, end):
        return text[place + 1 : end], True, True, max(end, len(text))
    cell = _unescaped(text[place + 1 : end].replace(dialect.quote * 2, dialect.quote), dialect)
    rest = plain.match(text, end + 1).end()  # type: ignore[union-attr]  # matches the empty text, too
    tail = text[end + 1 : rest]
    return cell + tail.rstrip(" "), True, bool(tail.strip(" ")), rest


def _unescaped(cell: str, dialect: Dialect) -> str:
    return re.sub(re.escape(dialect.escape) + r"(.)", r"\1", cell, flags=re.DOTALL) if dialect.escape else cell


@lru_cache(maxsize=64)
def _patterns(dialect: Dialect) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What a cell without quotes may hold, and what a quoted one."""
    separator = r" \t" if dialect.separator == " " else re.escape(dialect.separator)
    quote, escape = re.escape(dialect.quote or '"'), re.escape(dialect.escape or "")
    if not escape:
        return re.compile(f"[^{separator}\r\n]*"), re.compile(f"(?:[^{quote}]|{quote}{quote})*", re.DOTALL)
    plain = f"(?:{escape}.|[^{separator}\r\n{escape}])*"
    return re.compile(plain, re.DOTALL), re.compile(f"(?:{escape}.|[^{quote}{escape}]|{quote}{quote})*", re.DOTALL)
