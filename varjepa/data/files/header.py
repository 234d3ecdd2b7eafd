"""Finds the header: after a preamble and comments, before a row of units, with or without names of rows."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from varjepa.data.files.dialect import PREAMBLE, Sample, usual_width
from varjepa.data.files.records import Dialect, Record

_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?")
_DIGITS = re.compile(r"\d+")
_UNIT = re.compile(
    r"[\[(<].{1,20}[\])>]|[%‰°€$£¥]|°[CF]|(k|M|G|T|m|µ|u|n|c|d|h)?(m|g|s|A|K|mol|cd|Hz|N|Pa|J|W|V|C|F|Ω|Wh|bar|L|l|B|bit)"
    r"([²³]|\^?-?[1-4])?((/|·|\*)[A-Za-zµ²³\d^]{1,6})*|min|hr?|hrs|days?|years?|yr|t|ft|in|lb|lbs|oz|mi|mph|psi|ppm|ppb|"
    r"deg|rad|EUR|USD|GBP|CHF|JPY|count|counts|unitless|dimensionless"
)
_NO_UNIT = ("", "-", "--", "none", "n/a")


@dataclass(frozen=True)
class Header:
    """Where the names and the first row are.

    Attributes:
        names: of all columns; empty where a column has none. Empty names at the end, whose columns hold nothing in the
            sample, are left out.
        skip: lines before the header.
        present: False for a file without a header; names are then made.
        titles: lines before the header are not only comments.
        units: a row of units follows the header.
        values: names that look like values: signs that the header is missing.
        notes: what is unusual.
    """

    names: tuple[str, ...]
    skip: int
    present: bool = True
    titles: bool = False
    units: bool = False
    values: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_header(sample: Sample, dialect: Dialect, *, present: bool | None, skip: int | None) -> Header:
    """The header of a text.

    Args:
        sample: the start of the text.
        dialect: how it is written.
        present: `data.header`.
        skip: `data.skip_lines`.
    """
    rows = [row for row in sample.records(dialect) if not row.blank]
    if skip is not None:
        rows = [row for row in rows if row.line + sample.skipped > skip]
    usual = usual_width(rows) if rows else 0
    rows = [row for row in rows if row.width == usual or not row.cells[0].startswith("#")]  # comments of their own
    if not rows:
        return Header((), sample.skipped)
    first = 0 if skip is not None else _first_row(rows)
    notes = []
    if first:
        lines = rows[first].line - 1
        notes.append(f"{lines:,} {'line' if lines == 1 else 'lines'} before the header skipped.")
    before, rows = rows[first].line - 1 + sample.skipped, rows[first:]
    if present is False:
        names = tuple(made_names(usual_width(rows)))
        return Header(names, before, present=False, titles=first > 0, notes=tuple(notes))
    head, body = rows[0], rows[1:]
    names = tuple(cell.strip() for cell in head.cells)
    if _has_row_names(head, body):
        names = ("", *names)
        notes.append("The first column has no name in the header: read as names of rows.")
    units = bool(body) and _are_units(names, body[0], body[1:])
    if units:
        shown = ", ".join(cell.strip() for cell in body[0].cells if cell.strip())
        notes.append(f"The line after the header holds units and was skipped: {shown[:80]}.")
    below = [] if present else [row.cells for row in body]
    values = () if present else values_as_names(names, below)
    notes += [] if values else names_among_values(names, below)
    return Header(names, before, titles=first > 0, units=units, values=values, notes=tuple(notes))


def made_names(count: int) -> list[str]:
    """Names of the columns of a table without a header.

    Examples:
        >>> made_names(2)
        ['column_1', 'column_2']
    """
    return [f"column_{number}" for number in range(1, count + 1)]


def values_as_names(names: tuple[str, ...], body: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Names that look like values of a row, if they are signs that the header is missing.

    Numbers that grow from name to name are names, such as years and wavelengths.

    Args:
        names: cells of what may be the header.
        body: cells of the rows below it.

    Examples:
        >>> values_as_names(("5.1", "setosa"), [("4.9", "setosa")]), values_as_names(("length", "kind"), [])
        (('5.1', '5.1', 'setosa'), ())
        >>> values_as_names(("10:30", "start"), [("11:45", "stop"), ("09:05", "start")])
        ('10:30', 'start')
    """
    numbers = [name for name in names if _is_number(name)]
    amounts = [float(name.replace(",", ".")) for name in numbers]
    grow = len(amounts) > 1 and all(one < other for one, other in pairwise(amounts))
    repeated = _repeated(names, body)
    if grow and not repeated:
        numbers = []
    times = Counter(numbers)
    certain = [name for name in numbers if not name.isdigit() or times[name] > 1]
    certain += [name for at, name in enumerate(names) if _has_shape(name, [row[at] for row in body if len(row) > at])]
    if certain or (numbers and repeated) or 2 * len(repeated) > len(names):
        return (*certain, *numbers, *repeated)
    return ()


def names_among_values(names: tuple[str, ...], body: Sequence[Sequence[str]]) -> list[str]:
    """What to say of a header of which a name is a value below it, too: it may be a row.

    Examples:
        >>> names_among_values(("ham", "See you"), [("spam", "Win now"), ("ham", "On my way")])
        ['"ham" is the name of a column and a value in it. If the first line is a row, set data.header to false.']
    """
    return [
        f'"{name}" is the name of a column and a value in it. If the first line is a row, set data.header to false.'
        for name in _repeated(names, body)[:1]
    ]


def _repeated(names: tuple[str, ...], body: Sequence[Sequence[str]]) -> list[str]:
    """Names, other than numbers, that are values of their own column."""
    # Files that were put together repeat their header.
    others = [row for row in body if tuple(cell.strip() for cell in row) != names]
    return [
        name for at, name in enumerate(names)
        if name and not _is_number(name) and any(row[at].strip() == name for row in others if len(row) > at)
    ]  # fmt: skip


def _has_shape(name: str, cells: Sequence[str]) -> bool:
    """Whether a name with digits is written as most cells of its column: 10:30, $5.00, 2024-01-31, INV-17."""
    if _is_number(name) or not _DIGITS.search(name):
        return False
    filled = [cell.strip() for cell in cells if cell.strip() not in ("", name)]
    alike = sum(_DIGITS.sub("9", cell) == _DIGITS.sub("9", name) for cell in filled)
    return alike >= 2 and 2 * alike >= len(filled)


def _first_row(rows: list[Record]) -> int:
    """The number of the record that is the header: the first with as many cells as most rows, or one less."""
    width = usual_width(rows[1:] or rows)
    if width < 2:
        return 0
    limit = rows[: PREAMBLE + 1]
    full = next((number for number, row in enumerate(limit) if row.width >= width), 0)
    before = Counter(row.width for row in limit[:full] if row.width > 1)
    if before and max(before.values()) > sum(row.width == width for row in rows):
        return 0  # a table, whose last rows are too long
    if full and limit[full - 1].width == width - 1 and _has_row_names(limit[full - 1], rows[full:]):
        return full - 1
    if full and limit[0].width < width and all(not last for last in _last_cells(rows[full:])):
        # Rows end with a separator, the header does not.
        return next((number for number, row in enumerate(limit) if row.width == width - 1), full)
    return _past_titles(limit, full)


def _past_titles(rows: list[Record], first: int) -> int:
    """The number of the header where a spreadsheet wrote separators behind the titles before it, too."""
    filled = [sum(cell.strip() != "" for cell in row.cells) for row in rows]
    full = next((number for number in range(first, len(rows)) if filled[number] == rows[number].width), first)
    titles = range(first, full)
    # A header may lack some names; a title fills a single cell of three or more.
    spread = all(not rows[number].cells[-1].strip() and rows[number].width > 2 for number in titles)
    named = not any(_is_number(cell) for cell in rows[full].cells)
    return full if spread and named and filled[first] == 1 else first


def _last_cells(rows: list[Record]) -> list[str]:
    return [row.cells[-1].strip() for row in rows]


def _has_row_names(head: Record, body: list[Record]) -> bool:
    """True where R wrote names of rows: each row has a cell more than the header, and the first ones all differ."""
    if not body or any(row.width != head.width + 1 for row in body) or not any(_last_cells(body)):
        return False
    labels = [row.cells[0] for row in body]
    if len(set(labels)) < len(labels) or any(_is_number(cell) or not cell for cell in head.cells):
        return False
    if head.width == 1 and not (body[0].quoted[0] and any(_is_number(cell) for cell in body[0].cells)):
        return False  # a line of one cell is a title, and a number with decimal comma looks like two cells
    if len(body) > 1 and not any(_is_number(cell) for cell in body[0].cells):
        later = [cell for row in body[1:] for cell in row.cells]
        return not any(_is_number(cell) for cell in later)
    return True


def _are_units(names: tuple[str, ...], row: Record, body: list[Record]) -> bool:
    """True if the row holds a unit for each column of numbers and nothing for the others."""
    if row.width != len(names) or not body:
        return False
    found = 0
    for at, cell in enumerate(cell.strip() for cell in row.cells):
        values = [other.cells[at].strip() for other in body if other.width > at]
        numeric = any(values) and all(_is_number(value) for value in values if value)
        if _UNIT.fullmatch(cell) and numeric:
            found += 1
        elif cell.lower() not in _NO_UNIT and not (cell[:1] in "[(" and cell[-1:] in "])"):
            return False
    return found > 0


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell.strip()))
