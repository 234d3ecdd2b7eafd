"""Opens one file of delimited text: as it is if it is plain, else as a rewritten copy."""

import codecs
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from varjepa.config import DataSection
from varjepa.data.files.damage import empty, require_different, require_names
from varjepa.data.files.dialect import MOST_RECORDS, Sample, find_dialect, sample_of, usual_width
from varjepa.data.files.encoding import encoding_of
from varjepa.data.files.formulas import without_mark
from varjepa.data.files.header import Header, find_header
from varjepa.data.files.normalised import Layout, Text, rewrite
from varjepa.data.files.records import LINE_END, Dialect
from varjepa.data.files.regularity import regularity
from varjepa.data.files.stage import Stage
from varjepa.errors import DataError

_SAMPLE = 1 << 18
"""Bytes at the start of a file that tell its dialect; more if they hold fewer than `_LEAST_LINES` rows."""

_LEAST_LINES = 10
_LONGEST_SAMPLE = 1 << 24


@dataclass(frozen=True)
class Delimited:
    """A file that Polars can read.

    Attributes:
        file: it, or a rewritten copy.
        names: of its columns.
        separator: of its cells.
        unnamed_last: the last column has no name, and vanishes if it has no value.
        leading_zeros: some whole numbers may be codes.
        notes: what is unusual.
    """

    file: Path
    names: tuple[str, ...]
    separator: str
    unnamed_last: bool
    leading_zeros: bool
    notes: tuple[str, ...]


def open_delimited(place: Path, file: Path, data: DataSection, stage: Stage) -> Delimited:
    """Finds encoding, dialect and header, and rewrites what is not plain.

    Args:
        place: text without compression.
        file: the file that the user knows, for messages.
        data: settings that overrule what is found.
        stage: for a rewritten copy.

    Raises:
        DataError: no header, duplicate names, rows with more values than names, an unclosed quote or a wrong encoding.
    """
    encoding, errors, note = encoding_of(place, data.encoding)
    sample, dialect, header = _head(_sample(place, encoding, errors, file), data)
    names, unnamed_last = _checked(header, file)
    notes = [*([note] if note else []), *header.notes, *_notes_on(dialect, sample, data)]
    plain = encoding in ("utf-8", "utf-8-sig") and errors == "strict"
    if plain and _reads_as_is(dialect, header, sample) and len(names) == len(header.names):
        found = regularity(place, dialect.separator, len(names))
        if found.regular:
            return Delimited(place, names, dialect.separator, unnamed_last, found.leading_zeros, tuple(notes))
        dialect = _seen_again(place, found.place, sample, dialect, data)
        notes = [*header.notes, *_notes_on(dialect, sample, data)]
    copy = stage.place(f"{file.name}.csv")
    rewritten = rewrite(Text(place, file, encoding, errors), copy, Layout(header, dialect, len(names)))
    if stage.holds(place):
        place.unlink()
    zeros = regularity(copy, ",", len(names), stop=False).leading_zeros
    notes += rewritten.notes(len(names))
    return Delimited(copy, names, ",", unnamed_last, zeros, tuple(notes))


def header_names(place: Path, file: Path, data: DataSection) -> tuple[str, ...]:
    """The names of the columns of a text, from its first lines; an unnamed last one may hold nothing.

    Args:
        place: text without compression.
        file: the file that the user knows, for messages.
        data: settings that overrule what is found.

    Raises:
        DataError: no header, duplicate names, or a wrong encoding.
    """
    encoding, errors, _ = encoding_of(place, data.encoding)
    _, _, header = _head(_sample(place, encoding, errors, file), data)
    return _checked(header, file)[0]


def _head(sample: Sample, data: DataSection) -> tuple[Sample, Dialect, Header]:
    """The sample from where its lines count, its dialect and its header."""
    dialect, sample, hashed = _with_comments(sample, data)
    header = find_header(sample, dialect, present=data.header, skip=data.skip_lines)
    if hashed:
        header = replace(header, names=(header.names[0].lstrip("# ") or header.names[0], *header.names[1:]))
    if dialect.comment is None and any(line.startswith("#") for line in sample.lines(header.skip)):
        dialect = replace(dialect, comment="#")
    return sample, dialect, header


def _seen_again(place: Path, start: int, sample: Sample, dialect: Dialect, data: DataSection) -> Dialect:
    """The dialect of a text that is plain at first, judged by its header and the quotes that come later."""
    with place.open("rb") as stream:
        stream.seek(start)
        lines = LINE_END.split(stream.read(_SAMPLE).decode(errors="replace"))
    quoted = sorted((line for line in lines if '"' in line), key=lambda line: '\\"' not in line)
    head = LINE_END.split(sample.text, maxsplit=1)[0]
    if not quoted or dialect.quote != '"' or head.count('"') % 2:
        return dialect
    text = "\n".join([head, *quoted[:MOST_RECORDS]])
    again = find_dialect(Sample(text, None, 0, whole=True), separator=dialect.separator, quote=data.quote)
    return replace(again, comment=dialect.comment)


def _sample(place: Path, encoding: str, errors: str, file: Path) -> Sample:
    size = place.stat().st_size
    with place.open("rb") as stream:
        head = stream.read(_SAMPLE)
        # A table of many thousand columns has long lines, and a quoted cell may hold thousands of them.
        while len(head) < min(size, _LONGEST_SAMPLE) and _rows_within(head) < _LEAST_LINES:
            head += stream.read(len(head))
    whole = len(head) == size
    try:
        text = codecs.getincrementaldecoder(encoding)(errors).decode(head, final=whole)
    except UnicodeError as error:
        raise DataError(f"{file} is not {encoding} text: {error}.", fix="Set data.encoding.") from None
    text = text.replace("\0", "").removeprefix("\ufeff")
    if not text.strip():
        raise empty(file)
    return sample_of(text, whole=whole)


def _rows_within(head: bytes) -> int:
    """About the number of rows in the first bytes of a file: its line ends outside of quotes."""
    data = np.frombuffer(head, np.uint8)
    ends = (data == 10) | (data == 13)  # line feeds and carriage returns
    if b'"' in head:
        ends &= np.cumsum(data == ord('"')) % 2 == 0
    return int(np.count_nonzero(ends))


def _with_comments(sample: Sample, data: DataSection) -> tuple[Dialect, Sample, bool]:
    """The dialect, the sample from where its lines count, and whether the header is a line that starts with #."""
    if data.comment is not None:
        dialect = find_dialect(sample, separator=data.separator, quote=data.quote)
        return replace(dialect, comment=data.comment), sample, False
    lines = _leading(sample.text)
    rest = Sample(sample.text[sum(map(len, lines)) :], sample.separator, sample.skipped, sample.whole)
    if not lines or not rest.text:
        return find_dialect(sample, separator=data.separator, quote=data.quote), sample, False
    dialect = find_dialect(rest, separator=data.separator, quote=data.quote)
    if not _is_header(lines[-1], rest, dialect):
        return replace(dialect, comment="#"), sample, False
    start = Sample(lines[-1] + rest.text, rest.separator, rest.skipped + len(lines) - 1, rest.whole)
    return dialect, start, True


def _leading(text: str) -> list[str]:
    """The lines at the start that begin with #."""
    lines, place = [], 0
    while text.startswith("#", place):
        end = LINE_END.search(text, place)
        stop = end.end() if end else len(text)
        lines.append(text[place:stop])
        place = stop
    return lines


def _is_header(line: str, rest: Sample, dialect: Dialect) -> bool:
    """True if a line that begins with # has as many cells as the rows, and the next line does not look like names."""
    rows = [row for row in rest.records(dialect) if not row.blank]
    if not rows or usual_width(rows) < 2:
        return False
    head = next(iter(Sample(line, None, 0, whole=True).records(dialect)))
    numbers = [any(any(char.isdigit() for char in cell) for cell in row.cells) for row in rows]
    return head.width == usual_width(rows) and (numbers[0] or not any(numbers))


def _reads_as_is(dialect: Dialect, header: Header, sample: Sample) -> bool:
    """True if Polars splits the cells of this dialect as it should and the header is the first line."""
    known = dialect == Dialect(dialect.separator) and dialect.separator != " " and dialect.separator.isascii()
    named = header.present and not header.units and header.names and header.skip == 0 and not sample.skipped
    first = next(iter(sample.records(dialect, 1)), None)
    return bool(known and named and first is not None and first.width == len(header.names))


def _checked(header: Header, file: Path) -> tuple[tuple[str, ...], bool]:
    """The names without empty ones at the end, and whether a single such column is kept until its cells are seen."""
    names = [without_mark(name) for name in header.names]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise DataError(f"{file} has no column names.", expected="Expected a header line and rows.")
    unnamed_last = len(names) == len(header.names) - 1 and "" not in names
    require_names(header.values, file, "line")
    require_different(names, file)
    return (*names, *([""] if unnamed_last else [])), unnamed_last


def _notes_on(dialect: Dialect, sample: Sample, data: DataSection) -> list[str]:
    notes = []
    if dialect.quote is None and '"' in sample.text:
        notes.append("Quotes are part of the cells.")
    if dialect.quote == "'":
        notes.append("Cells are quoted by apostrophes.")
    if dialect.escape:
        notes.append("A backslash takes the meaning from the next character.")
    if dialect.separator == " " and data.separator != " ":
        notes.append("Runs of blanks separate the cells.")
    if sample.separator:
        notes.append("The separator comes from the sep= line.")
    return notes
