"""A DuckDB view over the Parquet file, in which every column has the kind that the contract gives it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from varjepa.data.cells import FALSE_WORDS, TRUE_WORDS

VIEW = "snapshot"
"""Name of the view."""
ROW = "__row__"
"""The column with the row number in the source."""
POSITION = "__position__"
"""The view's column with the position of a row in the Parquet file."""

LONGEST = 40
"""Longer values are cut when they are shown."""

KINDS = {"numeric": "a number", "boolean": "true or false", "date": "a date"}

_ODD = re.compile(r"[^\w .()-]")
_NUMBER = r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
_NATIVE = {
    "numeric": re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL.*"),
    "boolean": re.compile(r"BOOLEAN"),
    "date": re.compile(r"DATE|TIMESTAMP.*"),
}
_TRUTHS = " ".join(
    f"WHEN '{word}' THEN {truth}" for truth, words in (("true", TRUE_WORDS), ("false", FALSE_WORDS)) for word in words
)


class Database(Protocol):
    """Something that answers SQL."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]: ...

    def copy(self, query: str, path: Path, *, columns: int) -> None: ...


@dataclass(frozen=True)
class Reading:
    """How the view shows one column of the file."""

    column: str
    """Its name in the file."""
    kind: str
    """Its kind in the contract; empty if the contract does not name it."""
    raw: str
    """View column: the original cell, NULL if missing (NaN, and blank text unless categorical, count as missing)."""
    value: str
    """View column: the cell converted to its kind; the same column as `raw` if the file has that kind already."""
    unread: str
    """View column: the cells that cannot be converted; empty if the file has that kind already."""
    shown: str
    """SQL over the view: the cell as text for people."""
    may_be_infinite: bool
    """Whether the column could hold infinity."""
    is_text: bool
    """Whether the file holds text for a column of another kind."""
    single: bool
    """Whether the file holds 32-bit floats."""
    select: str
    """The part of the SELECT of the view that defines these view columns."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The view columns."""
        return (self.raw, self.value, self.unread) if self.unread else (self.raw,)


def quoted(name: str) -> str:
    """A name, quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, quoted for SQL."""
    return "'" + text.replace("'", "''") + "'"


def select(what: str, rest: str = "") -> str:
    """A query of the view. Names and texts in its parts must be quoted already."""
    return f"SELECT {what} FROM {VIEW} {rest}"  # noqa: S608 (the caller quotes)


def free(name: str, taken: set[str]) -> str:
    """Changes a name until it is unused, short and plain, and marks it as used.

    Args:
        name: the original name.
        taken: used names in lower case, because DuckDB does not distinguish "Age" from "age".

    Examples:
        >>> free('7" pipes', set()), free("Age", {"age"}), free("<b>", set())
        ('7_ pipes', 'Age (2)', '_b_')
    """
    # Great Expectations writes names into SQL, where `"`, `%` and `:` mean something, and into pages, where `<` does.
    base = _ODD.sub("_", name)[:LONGEST].strip() or "(no name)"
    unused, number = base, 1
    while unused.lower() in taken:
        number += 1
        unused = f"{base} ({number})"
    taken.add(unused.lower())
    return unused


def read_columns(columns: Sequence[str], types: Sequence[str], kinds: Mapping[str, str]) -> dict[str, Reading]:
    """How the view shows each column.

    Args:
        columns: names in the file.
        types: their DuckDB types, in the same order.
        kinds: kinds in the contract.
    """
    taken = {POSITION, ROW}
    names = {column: column if column == ROW else free(column, taken) for column in columns}
    return {
        column: _read(column, kinds.get(column, ""), cell=f"c{index}", type_=type_, name=names[column], taken=taken)
        for index, (column, type_) in enumerate(zip(columns, types, strict=True))
    }


def _read(column: str, kind: str, *, cell: str, type_: str, name: str, taken: set[str]) -> Reading:
    if kind not in _NATIVE or _NATIVE[kind].fullmatch(type_):
        is_float = type_ in ("FLOAT", "DOUBLE")
        return Reading(
            column=column,
            kind=kind,
            raw=name,
            value=name,
            unread="",
            shown=_shown(quoted(name), "[.]0$" if is_float else " 00:00:00$" if kind == "date" else ""),
            may_be_infinite=is_float,
            is_text=False,
            single=type_ == "FLOAT",
            select=f"{cell if column == ROW else _native(cell, type_, kind)} AS {quoted(name)}",
        )
    value, unread = free(f"{name} as {KINDS[kind]}", taken), free(f"{name} not {KINDS[kind]}", taken)
    # Minus zero is a zero: adding one takes its sign away.
    read_as = f"{cell} + 0" if kind == "boolean" and type_ in ("FLOAT", "DOUBLE") else cell
    text = f"nullif(trim(CAST({read_as} AS VARCHAR)), '')"
    read = _converted(text, kind)
    rest = f"CASE WHEN {read} IS NULL THEN {text} END"
    return Reading(
        column=column,
        kind=kind,
        raw=name,
        value=value,
        unread=unread,
        shown=_shown(quoted(name)),
        may_be_infinite=False,
        is_text=type_ == "VARCHAR",
        single=False,
        select=f"{text} AS {quoted(name)}, {read} AS {quoted(value)}, {rest} AS {quoted(unread)}",
    )


def _shown(cell: str, noise: str = "") -> str:
    text = f"CAST({cell} AS VARCHAR)"
    if noise:
        text = f"regexp_replace({text}, '{noise}', '')"
    return f"CASE WHEN length({text}) > {LONGEST} THEN left({text}, {LONGEST}) || '…' ELSE {text} END"


def _native(cell: str, type_: str, kind: str) -> str:
    if not kind:
        return "CAST(NULL AS INTEGER)"
    if type_ in ("FLOAT", "DOUBLE"):
        # Not isnan: the statistics of Parquet files ignore NaN, and DuckDB concludes from them that there is none.
        cell = f"CASE WHEN isfinite({cell}) OR isinf({cell}) THEN {cell} END"
    if type_ == "TIMESTAMP WITH TIME ZONE":
        return f"make_timestamp(epoch_us({cell}))"
    if kind != "categorical":
        return cell
    # The allowed values of a contract are texts; a whole number is the same text however it is stored.
    text = f"CAST({cell} AS VARCHAR)"
    if type_ not in ("FLOAT", "DOUBLE"):
        return text
    whole = f"{cell} = trunc({cell}) AND abs({cell}) < {2**53}"
    return f"CASE WHEN {whole} THEN CAST(CAST({cell} AS BIGINT) AS VARCHAR) ELSE {text} END"


def _converted(text: str, kind: str) -> str:
    """SQL that converts text to a number, a boolean or a timestamp (UTC); NULL if it cannot be converted."""
    if kind == "boolean":
        # IN would become a join, with a hash table of three megabytes for every column.
        return f"CASE lower({text}) {_TRUTHS} END"
    if kind == "date":
        moment = f"make_timestamp(epoch_us(TRY_CAST({text} AS TIMESTAMP WITH TIME ZONE)))"
        return f"CASE WHEN regexp_full_match({text}, '{_MOMENT}') THEN {moment} END"
    number = f"TRY_CAST({text} AS DOUBLE)"
    return f"CASE WHEN regexp_full_match({text}, '{_NUMBER}') AND isfinite({number}) THEN {number} END"


def open_view(database: Database, path: Path, kinds: Mapping[str, str], stage: Path) -> dict[str, Reading]:
    """Creates the view.

    Args:
        database: where to create it.
        path: the Parquet file.
        kinds: kinds in the contract. The view has no cells of other columns, only their names.
        stage: where to write the converted columns, if the file holds text for columns of another kind.

    Returns:
        How the view shows each column, in the order of the file.
    """
    # DuckDB renames columns whose names differ only in case. So names come from Polars, and columns go by position.
    columns = pl.scan_parquet(path, glob=False).collect_schema().names()
    cells = [f"c{index}" for index in range(len(columns))]
    source = f"FROM {_parquet(path, 'file_row_number = true')} AS file({', '.join([*cells, 'position'])})"
    types = [str(row[1]) for row in database.rows(f"DESCRIBE SELECT {', '.join(cells)} {source}")]
    readings = read_columns(columns, types, kinds)
    selects = [*(reading.select for reading in readings.values()), f"position AS {quoted(POSITION)}"]
    query = f"SELECT {', '.join(selects)} {source}"
    if any(reading.unread for reading in readings.values()):
        # Text is converted once. Otherwise every rule would convert it again, for each part of its condition.
        database.copy(query, stage, columns=3 * len(readings) + 1)  # text, value and what was not read
        query = f"FROM {_parquet(stage)}"
    database.rows(f"CREATE VIEW {VIEW} AS {query}")
    return readings


def _parquet(path: Path, *options: str) -> str:
    """A Parquet file as a SQL table. Wildcard characters in its path are escaped."""
    plain = re.sub(r"([*?\[])", r"[\1]", str(path))
    return f"read_parquet({', '.join([literal(plain), *options])})"
