"""Rewrites delimited text of any dialect and encoding as plain CSV, row by row, in bounded memory."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from varjepa.data.files.damage import DAMAGED
from varjepa.data.files.header import Header
from varjepa.data.files.records import Dialect, records
from varjepa.errors import DataError

LONGEST = 1 << 24
"""Characters of the longest cell. A longer one is a quote that was never closed."""

_SHOWN = 8


@dataclass
class Rewritten:
    """What was unusual in the rows.

    Attributes:
        blank: lines without a cell that were skipped, or read as missing cells of a single column.
        comments: lines that were skipped as comments.
        zeros: NUL characters that were dropped.
        short: lines of rows with missing cells at their end.
        long: lines of rows with more values than there are columns.
        trailing: rows with empty cells after the last column.
    """

    blank: int = 0
    comments: int = 0
    zeros: int = 0
    trailing: int = 0
    short: list[int] = field(default_factory=list)
    short_rows: int = 0
    long: list[int] = field(default_factory=list)
    long_rows: int = 0

    def notes(self, columns: int) -> Iterator[str]:
        """Sentences about all that was found."""
        if self.blank:
            what = "read as missing cells" if columns == 1 else "skipped"
            yield f"{_counted(self.blank, 'blank line')} {what}."
        if self.comments:
            yield f"{_counted(self.comments, 'comment line')} skipped."
        if self.short_rows:
            yield f"{_counted(self.short_rows, 'row')} with missing cells at the end ({_lines(self.short)}) filled."
        if self.trailing:
            yield f"{_counted(self.trailing, 'row')} with separators after the last column read without them."
        if self.zeros:
            yield f"{_counted(self.zeros, 'NUL character')} dropped."


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _lines(numbers: list[int]) -> str:
    more = ", ..." if len(numbers) == _SHOWN else ""
    return f"{'line' if len(numbers) == 1 else 'lines'} {', '.join(f'{number:,}' for number in numbers)}{more}"


class _Lines:
    """The lines of a text for a CSV reader, without NUL characters, and without comments between rows.

    Attributes:
        start: number of the first line of the row that is being read, from 1.
    """

    def __init__(self, stream: io.TextIOBase, layout: "Layout", found: Rewritten) -> None:
        self.start = 0
        self._stream, self._dialect, self._found = stream, layout.dialect, found
        self._number = layout.header.skip
        self._row: list[str] = []
        skipped = [stream.readline() for _ in range(self._number)]
        if self._dialect.comment and not layout.header.titles:
            found.comments += sum(line.startswith(self._dialect.comment) for line in skipped)

    def __iter__(self) -> Iterator[str]:
        comment, blanks = self._dialect.comment, self._dialect.separator == " "
        for line in self._stream:
            self._number += 1
            if comment and not self._row and line.startswith(comment):
                self._found.comments += 1
                continue
            if "\0" in line:
                self._found.zeros += line.count("\0")
                line = line.replace("\0", "")  # noqa: PLW2901 (the same line, cleaned)
            if blanks:
                line = line.replace("\t", " ").rstrip(" \r\n") + "\n"  # noqa: PLW2901 (the same line, cleaned)
            if not self._row:
                self.start = self._number
            self._row.append(line)
            yield line

    def end_of_row(self) -> str:
        """The text of the row that was read. The next line begins another."""
        text = "".join(self._row)
        self._row.clear()
        return text

    def quoted(self) -> bool:
        """True if the row that is being read has quotes: then an empty cell was meant."""
        return self._dialect.quote is not None and self._dialect.quote in self._row[0]


@dataclass(frozen=True)
class Text:
    """A text file and how to decode it.

    Attributes:
        place: where it is.
        file: the file that the user knows, for messages.
        encoding: of the text.
        errors: handler for bytes that are not in this encoding.
    """

    place: Path
    file: Path
    encoding: str
    errors: str


@dataclass(frozen=True)
class Layout:
    """How a text is written, and what to make of it.

    Attributes:
        header: where names and rows are.
        dialect: how rows are written.
        width: number of columns to write.
    """

    header: Header
    dialect: Dialect
    width: int


def rewrite(text: Text, target: Path, layout: Layout) -> Rewritten:
    """Writes the rows of a text to `target` as CSV in UTF-8, after a header that is to be skipped.

    Raises:
        DataError: the encoding does not fit, a quote is never closed, or rows have more values than columns.
    """
    found = Rewritten()
    try:
        with (
            text.place.open(encoding=text.encoding, errors=text.errors, newline="") as source,
            target.open("w", encoding="utf-8", newline="") as plain,
        ):
            # The line end has both characters, so that cells with either of them are quoted.
            writer = csv.writer(plain, lineterminator="\r\n")
            writer.writerow(range(layout.width))
            writer.writerows(_rows_of_width(_Lines(source, layout, found), layout, found, text.file))
    except UnicodeError as error:
        raise DataError(
            f"{text.file} is not {text.encoding} text: {error}.", fix="Set data.encoding, or convert the file."
        ) from None
    if found.long_rows:
        raise DataError(
            f"{text.file} has {_counted(found.long_rows, 'row')} with more fields than the header has names: "
            f"{_lines(found.long)}.",
            expected=f"Expected {_counted(layout.width, 'field')} per row.",
            fix="Put quotes around cells that contain the separator, or name the other columns in the header.",
        )
    return found


def _rows_of_width(lines: "_Lines", layout: Layout, found: Rewritten, file: Path) -> Iterator[list[str]]:
    """Rows with as many cells as there are columns. The header, units and blank lines are left out."""
    waiting, blank, width = int(layout.header.present) + int(layout.header.units), 0, layout.width
    for row in _rows(lines, layout.dialect, file):
        if _is_blank(row, width) and not lines.quoted():
            blank += 1
            continue
        if waiting:
            # Blank lines before the header are nothing to speak of.
            waiting, blank = waiting - 1, 0
            continue
        if blank and width == 1:
            yield from [[""]] * blank
        found.blank, blank = found.blank + blank, 0
        fitted = row if len(row) == width else _fitted(row, width, lines.start, layout.dialect, found)
        if fitted is not None:
            yield fitted
    found.blank += blank if width > 1 else 0


def _is_blank(row: list[str], width: int) -> bool:
    return not row or (len(row) == 1 and not (row[0].strip() if width > 1 else row[0]))


def _rows(lines: "_Lines", dialect: Dialect, file: Path) -> Iterator[list[str]]:
    """The rows as the CSV reader splits them."""
    csv.field_size_limit(LONGEST)
    reader = csv.reader(
        iter(lines), delimiter=dialect.separator, quotechar=dialect.quote,
        quoting=csv.QUOTE_NONE if dialect.quote is None else csv.QUOTE_MINIMAL, escapechar=dialect.escape,
        skipinitialspace=dialect.padded or dialect.separator == " ",
    )  # fmt: skip
    last = ""
    try:
        for row in reader:
            yield row
            last = lines.end_of_row()
    except csv.Error as error:
        if "field larger" in str(error):
            raise _unclosed(file, lines.start) from None
        raise DataError(f"{file} cannot be read: line {lines.start}: {error}.", fix=DAMAGED) from None
    if dialect.quote and _open_at_end(last, dialect):
        raise _unclosed(file, lines.start)


def _open_at_end(text: str, dialect: Dialect) -> bool:
    """True if a quote of the last record is not closed."""
    last = next(records(text, dialect), None)
    return (
        last is not None
        and last.stray
        and last.quoted[-1]
        and dialect.quote is not None
        and not (text.rstrip("\r\n").endswith(dialect.quote))
    )


def _unclosed(file: Path, line: int) -> DataError:
    return DataError(
        f"{file}: a quote in line {line:,} is never closed.",
        fix='Close it, double it inside a quoted cell, or set data.quote to "" if quotes are part of the cells.',
    )


def _fitted(row: list[str], width: int, line: int, dialect: Dialect, found: Rewritten) -> list[str] | None:
    """The row with `width` cells, or None if it cannot have them."""
    if row[0].startswith("#") and dialect.comment is None and len(row) < width:
        found.comments += 1
        return None
    if len(row) < width:
        found.short_rows += 1
        found.short += [line] if len(found.short) < _SHOWN else []
        return row + [""] * (width - len(row))
    if any(cell.strip() for cell in row[width:]):
        found.long_rows += 1
        found.long += [line] if len(found.long) < _SHOWN else []
        return None
    found.trailing += 1
    return row[:width]
