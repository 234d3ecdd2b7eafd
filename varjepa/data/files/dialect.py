"""Finds separator, quotes and escapes of delimited text from a sample of its lines."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice, product

from varjepa.data.files.records import LINE_END, Dialect, Record, records

SEPARATORS = ",;\t|"
"""Separators that are tried, the likeliest first."""

RARE_SEPARATORS = "^~"
"""Separators that are tried if they are in the first line; in cells they are as frequent."""

MOST_RECORDS = 300
"""Records of a sample that are split for each candidate."""

PREAMBLE = 50
"""At most this many records may stand before the header."""

_NO_SEPARATOR = "\x1f"
"""Separator of a single column: the unit separator of ASCII, which no text has."""

_SEP_LINE = re.compile(r'"?sep=(\t|[^\r\n"])"?[,;\t|]*(\r\n|\n|\r)', re.IGNORECASE)
_NUMBER = re.compile(r"\s*[-+(]?[\d.,' ]*\d[%)]?\s*")


@dataclass(frozen=True)
class Sample:
    """The start of a text.

    Attributes:
        text: after a `sep=` line.
        separator: that the `sep=` line names, or None.
        skipped: lines before `text`: 1 after a `sep=` line.
        whole: nothing follows.
    """

    text: str
    separator: str | None
    skipped: int
    whole: bool

    def records(self, dialect: Dialect, most: int = MOST_RECORDS) -> list[Record]:
        """The first records, without one that the end of the sample may have cut."""
        found = list(islice(records(self.text, dialect), most + 1))
        return found[:most] if len(found) > most or not self.whole else found

    def lines(self, skip: int) -> list[str]:
        """The lines of the text that are among the first `skip` of the file."""
        return LINE_END.split(self.text, maxsplit=skip)[: max(0, skip - self.skipped)]


def sample_of(text: str, *, whole: bool) -> Sample:
    """A sample, with its `sep=` line taken off."""
    said = _SEP_LINE.match(text)
    if said is None:
        return Sample(text, None, 0, whole)
    return Sample(text[said.end() :], said[1], 1, whole)


def find_dialect(sample: Sample, *, separator: str | None = None, quote: str | None = None) -> Dialect:
    """The dialect under which rows have equally many cells that look like cells.

    Args:
        sample: the start of the text.
        separator: the separator, where it is given.
        quote: the quote character where it is given; empty for none.
    """
    separator = separator or sample.separator
    if quote is None and (simple := _plain(sample, separator)) is not None:
        return simple
    dialects = _candidates(sample.text, separator, quote)
    scores = [_score(sample.records(dialect), dialect) for dialect in dialects]
    best = dialects[scores.index(max(scores))]
    if quote is None and best.quote == "'" and not any(any(row.quoted) for row in sample.records(best)):
        best = replace(best, quote='"')  # apostrophes are letters: a later name such as 's-Hertogenbosch opens no cell
    if max(scores) <= 0:
        return _by_blanks(sample, quote) or replace(dialects[0], separator=separator or _NO_SEPARATOR)
    return replace(best, padded=best.padded or _is_padded(sample, best))


def _plain(sample: Sample, separator: str | None) -> Dialect | None:
    """The dialect of a text without quotes, where one separator alone occurs, equally often in each line."""
    lines = LINE_END.split(sample.text)[:MOST_RECORDS]
    lines = [line for line in (lines if sample.whole else lines[:-1]) if line]
    if not lines or any(char in sample.text for char in "\"'\\#"):
        return None
    present = _present(sample.text) if separator is None else [separator]
    if len(present) != 1 or any(line.count(present[0]) != lines[0].count(present[0]) for line in lines):
        return None
    dialect = Dialect(present[0])
    return replace(dialect, padded=_is_padded(sample, dialect)) if lines[0].count(present[0]) else None


def _present(text: str) -> list[str]:
    """The separators that a text may have, the likeliest first."""
    first = LINE_END.split(text, maxsplit=1)[0]
    common = [char for char in SEPARATORS if char in text]
    return common + [char for char in RARE_SEPARATORS if char in first]


def _candidates(text: str, separator: str | None, quote: str | None) -> list[Dialect]:
    """Dialects that the characters of the text allow, the likeliest first."""
    separators = [separator] if separator else _present(text) or [","]
    quotes: list[str | None] = [quote or None]
    if quote is None:
        quotes = [char for char in "\"'" if char in text]
        quotes.append(None if quotes else '"')
    found = []
    for char, around in product(separators, quotes):
        found.append(Dialect(char, around))
        if around and f"{char} {around}" in text:
            found.append(Dialect(char, around, padded=True))
        found += [replace(dialect, escape="\\") for dialect in found if _is_escaped(text, dialect)]
    return list(dict.fromkeys(found))


def _is_escaped(text: str, dialect: Dialect) -> bool:
    return "\\" + dialect.separator in text or bool(dialect.quote and "\\" + dialect.quote in text)


def _score(rows: list[Record], dialect: Dialect) -> float:
    """Between 0 and about 1.2: share of rows with as many cells as most, times the share of cells that look whole."""
    rows = [row for row in rows if not row.blank]
    if not rows:
        return 0.0
    width = usual_width(rows)
    rows = [row for row in rows if row.width == width or not row.cells[0].startswith("#")]
    if width < 2:
        # Every row is one quoted cell, separators and all.
        return float(all(row.width == 1 and row.quoted[0] and not row.stray for row in rows))
    first = next(number for number, row in enumerate(rows) if row.width >= max(2, width - 1))
    body = rows[first:]
    regular = sum(row.width == width for row in body) / len(body)
    uneven_rows = sum(row.width != width for row in body[1:])
    # A line of one cell above numbers alone is no title, but the name of their column: they have decimal commas.
    unnamed = first and all(not cell.strip() or _NUMBER.fullmatch(cell) for cell in body[0].cells)
    prose = first == 1 and _is_prose(rows[0].cells[0], body, dialect)
    if first and (unnamed or uneven_rows > 0.1 * len(body) or prose):
        return 0.0
    cells = [
        _wholeness(cell, quoted, dialect) for row in body for cell, quoted in zip(row.cells, row.quoted, strict=True)
    ]
    stray = sum(row.stray for row in body) / len(body)
    uneven = 0.05 * (rows[0].width != width) + 0.01 * min(first, PREAMBLE)
    return regular * (0.1 + sum(cells) / len(cells)) - 0.5 * stray - uneven


def _is_prose(title: str, body: list[Record], dialect: Dialect) -> bool:
    """True for sentences under a name of one word: a blank follows every comma, and no cell is a number."""
    if len(title.split()) != 1:
        return False
    later = [cell for row in body for cell in row.cells[1:]]
    return dialect.separator == "," and all(cell.startswith(" ") and not _NUMBER.fullmatch(cell) for cell in later)


def usual_width(rows: list[Record]) -> int:
    """The number of cells that most rows of the second half have, after all titles; of two, that of the first row."""
    counts = Counter(row.width for row in rows[len(rows) // 2 :])
    return max(counts, key=lambda width: (counts[width], width == rows[0].width))


def _wholeness(cell: str, quoted: bool, dialect: Dialect) -> float:  # noqa: FBT001 (a property of the cell)
    """1 for what a cell may be, less for what looks like several cells or half a quoted one."""
    if quoted:
        return 1.0
    ends = sum(cell.strip()[at : at + 1] in ('"', "'") for at in (0, -1)) if cell.strip() else 0
    if ends and not (ends == 1 and cell.strip()[-1] == '"' and cell.strip()[:-1].isdigit()):
        return 0.2
    others = [char for char in SEPARATORS if char != dialect.separator and char in cell.strip()]
    if not others or (others == [","] and _NUMBER.fullmatch(cell)):
        return 1.0
    return 0.8 if others == [","] else 0.3


def _by_blanks(sample: Sample, quote: str | None) -> Dialect | None:
    """Runs of blanks as separators: only if all rows agree and some column holds numbers."""
    dialect = Dialect(" ", quote or ('"' if quote is None else None))
    rows = [row for row in sample.records(dialect) if not row.blank and not row.cells[0].startswith("#")]
    if len(rows) < 2 or usual_width(rows) < 2:
        return None
    width = usual_width(rows)
    body = [row for row in rows[1:] if row.width == width]
    if len(body) < 0.95 * (len(rows) - 1) or rows[0].width not in (width, width - 1):
        return None
    numbers = any(all(_NUMBER.fullmatch(row.cells[at]) for row in body) for at in range(width))
    return dialect if numbers else None


def _is_padded(sample: Sample, dialect: Dialect) -> bool:
    """True if a blank follows every separator that is not followed by another."""
    if dialect.separator == " " or f"{dialect.separator} " not in sample.text:
        return False
    later = [cell for row in sample.records(dialect) for cell in row.cells[1:] if cell]
    return bool(later) and all(cell.startswith(" ") for cell in later)
