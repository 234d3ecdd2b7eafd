"""Types of the columns of delimited text, which fit all rows."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import polars.selectors as cs

from varjepa.config import DataSection
from varjepa.data.cells import column
from varjepa.data.files.delimited import Delimited
from varjepa.data.files.formulas import may_be_marked, unmarked
from varjepa.data.files.part import Part
from varjepa.data.files.union import widened

GLANCE = 5000
"""Number of first rows of a CSV file that propose the types of its columns."""

_TEXT = pl.String()

Types = Mapping[str, pl.DataType]


@dataclass(frozen=True)
class _Scan:
    """Files with the same names and separator."""

    files: tuple[Path, ...]
    names: tuple[str, ...]
    separator: str
    na_values: tuple[str, ...]
    kept: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Columns -> gap words that are values there; none of them is among `na_values`, as Polars takes one list for all
    columns."""
    marked: bool = False
    """Whether cells may have the mark that keeps a spreadsheet from running them."""

    def read(self, types: Types) -> pl.LazyFrame:
        """The columns that `types` names, in these types."""
        schema = {name: types.get(name, _TEXT) for name in self.names}
        frame = self._opened(schema=schema)
        if self.marked:
            frame = unmarked(frame, [name for name, dtype in schema.items() if dtype == _TEXT])
        if self.kept:
            frame = frame.with_columns(self._without_gaps(name) for name, dtype in schema.items() if dtype == _TEXT)
        return frame if len(types) == len(self.names) else frame.select(cs.by_name(*types))

    def proposed(self, rows: int | None) -> dict[str, pl.DataType]:
        """Types that fit the first rows, or all."""
        return dict(self._opened(new_columns=list(self.names), infer_schema_length=rows).collect_schema())

    def counts(self, types: Types) -> dict[str, int]:
        """Number of values of each column.

        Raises:
            polars.exceptions.PolarsError: a cell does not fit its type.
        """
        found = self.read(types).select(pl.all().count()).collect(engine="streaming")
        return dict(zip(types, found.row(0), strict=True))

    def _opened(self, **options: object) -> pl.LazyFrame:
        # Names are given, because Polars renames twice the same name and the empty one.
        return pl.scan_csv(
            list(self.files), separator=self.separator, null_values=list(self.na_values), has_header=False, skip_rows=1,
            glob=False, **options,  # type: ignore[arg-type]  # options of scan_csv
        )  # fmt: skip

    def _without_gaps(self, name: str) -> pl.Expr:
        """A column of text without the words that are values in others only."""
        words = sorted(frozenset[str]().union(*self.kept.values()) - self.kept.get(name, frozenset()))
        return pl.when(column(name).is_in(words).not_()).then(column(name)).alias(name)


def text_part(
    files: Sequence[Delimited], file: Path, keys: Mapping[str, str | None], data: DataSection, text: Collection[str]
) -> Part:  # fmt: skip
    """Files with the same names and separator as a part. They are read once to determine types.

    Args:
        files: as Polars can read them.
        file: the first as the user knows it.
        keys: columns that names of folders give.
        data: says which texts mean a missing value.
        text: columns that stay text.
    """
    names, places = files[0].names, tuple(each.file for each in files)
    marked = any(may_be_marked(place, files[0].separator) for place in places)
    kept = _kept(names, data)
    gaps = tuple(word for word in data.na_values if not any(word in words for words in kept.values()))
    whole = _Scan(places, names, files[0].separator, gaps, kept, marked)
    schema: dict[str, pl.DataType] = {}
    # File by file, because Polars takes a column without a value in one of them for text.
    for each in files:
        for name, dtype in _schema(replace(whole, files=(each.file,)), text, codes=each.leading_zeros).items():
            schema[name] = widened(schema.get(name, dtype), dtype) or _TEXT
    if files[0].unnamed_last and schema[names[-1]] == pl.Null():
        del schema[names[-1]]
    return Part(file, schema, whole.read, keys)


def _kept(names: Sequence[str], data: DataSection) -> dict[str, frozenset[str]]:
    """Columns -> words that are values there though they mean a gap elsewhere; see `_Scan.kept`."""
    told = {name: data.columns.get(data.rename.get(name, name)) for name in names}
    kept = {name: frozenset(section.not_gaps) & {*data.na_values} for name, section in told.items() if section}
    return {name: words for name, words in kept.items() if words}


def _schema(scan: _Scan, text: Collection[str], *, codes: bool) -> dict[str, pl.DataType]:
    """The type of each column of a file; Null without a value."""
    try:
        schema, counts = _typed(scan, text)
    except pl.exceptions.NoDataError:
        return dict.fromkeys(scan.names, pl.Null())
    schema |= dict.fromkeys(_codes(scan, schema), _TEXT) if codes else {}
    return schema | {name: pl.Null() for name in scan.names if not counts[name]}


def _typed(scan: _Scan, text: Collection[str]) -> tuple[dict[str, pl.DataType], dict[str, int]]:
    """Types, and the number of values of each column. So no unexpected text in the last row stops a run after hours.

    The types of the first rows are tried on all others. That takes a fiftieth of the time that Polars needs to infer
    types from all rows. Polars infers them only if the proposed types do not fit, or if a column has no value in the
    first rows.
    """
    as_text: Types = dict.fromkeys(scan.names, _TEXT)
    forced = {name: _TEXT for name in scan.names if name in text}
    glance = scan.read(as_text).head(GLANCE).select(pl.all().count()).collect()
    for rows in (GLANCE, None) if all(glance.row(0)) else (None,):
        with suppress(pl.exceptions.ComputeError):
            types = scan.proposed(rows) | forced
            return types, scan.counts(types)
    types = {name: dtype if _fits(scan, name, dtype) else _TEXT for name, dtype in types.items()}
    return types, scan.counts(types)


def _fits(scan: _Scan, name: str, dtype: pl.DataType) -> bool:
    try:
        scan.counts({name: dtype})
    except pl.exceptions.ComputeError:
        return False
    return True


def _codes(scan: _Scan, schema: Types) -> list[str]:
    """Columns of whole numbers in which some cell has leading zeros, such as 007."""
    whole: Types = {name: _TEXT for name, dtype in schema.items() if dtype.is_integer()}
    if not whole:
        return []
    found = scan.read(whole).select(pl.all().str.contains(r"^0\d").any()).collect(engine="streaming")
    return [name for name, codes in zip(whole, found.row(0), strict=True) if codes]
