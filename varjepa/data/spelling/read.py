"""Opens the cells of a table: every column of text whose spelling is known or found out becomes what it means."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from varjepa.config import DataSection
from varjepa.config.data import ColumnSection
from varjepa.data.cells import as_text, column, in_common_types, mapped, without_gaps
from varjepa.data.spelling.detect import Verdict, detect, grouped_by_points
from varjepa.data.spelling.readers import TEXT, Reader, native_numbers, reader_of, whole_values

_WIDE = (pl.Int128, pl.UInt128)
_EXACT = 15
"""Digits of which every whole number is a float of its own."""

_KEYS_FROM = 10**16
"""No measurement has so many digits."""


@dataclass(frozen=True)
class Spelled:
    """A table whose cells are read.

    Attributes:
        frame: the rows, in plain types: numbers, booleans, dates and text.
        columns: how columns are spelled that are not in the plain spelling, also those that the user told; names as
            in the configuration, that is after `data.rename`.
        words: the same in words.
        doubts: of columns that may also be read in another way, how it was chosen, and how to set it.
    """

    frame: pl.LazyFrame
    columns: dict[str, ColumnSection]
    words: dict[str, str]
    doubts: dict[str, str]


Reread = Callable[[Collection[str]], pl.LazyFrame]
"""Opens a table again, with some columns as text that seem to be numbers."""


def spelled_otherwise(data: DataSection) -> set[str]:
    """Columns that are to be read as text first, as `data.columns` tells how; names before `data.rename`."""
    before = {new: old for old, new in data.rename.items()}
    told = {name for name, section in data.columns.items() if section.format is not None}
    return told | {before[name] for name in told if name in before}


def spelled(
    frame: pl.LazyFrame, data: DataSection, text: Collection[str] | None = None, reread: Reread | None = None
) -> Spelled:
    """Reads the cells of a table as they are meant.

    What `data.columns` says wins. The rest is found out from all rows, which are read up to four times for it, batch by
    batch; plain numbers and words cost a glance at the first rows.

    Args:
        frame: columns of any type.
        data: `columns`, `kinds` and `rename` count.
        text: for a finished model, the columns that it learned as text. Then nothing is found out: its features read
            the text of other columns by what was found out when it was made.
        reread: opens the same table with some columns as text; None where their text is not known.

    Raises:
        ConfigError: a format in `data.columns` is none.
        DataError: the rows cannot be read.
    """
    frame = _in_plain_types(frame)
    schema = dict(frame.collect_schema())
    finals = {name: data.rename.get(name, name) for name in schema}
    told = {name: data.columns[final] for name, final in finals.items() if final in data.columns}
    readers = {name: reader_of(section, finals[name]) for name, section in told.items()}
    given = {name: reader for name, reader in readers.items() if reader is not None and _may_read(reader, schema[name])}
    free = [] if text is not None else [name for name in schema if _is_open(finals[name], told.get(name), data)]
    wanted = {name: told[name].gaps if name in told else () for name in free}
    verdicts = detect(frame, given, wanted)
    unsure = dict[str, Verdict]()
    if reread is not None:
        seen = grouped_by_points(frame, verdicts, [name for name in wanted if schema[name].is_float()], reread)
        grouped = {name: verdict for name, verdict in seen.items() if verdict.grouped_by_point}
        unsure = {name: verdict for name, verdict in seen.items() if not verdict.grouped_by_point}
        if grouped:
            frame, verdicts = _in_plain_types(reread(list(grouped))), verdicts | grouped
    changed = [_read(name, verdict) for name, verdict in verdicts.items()]
    left = [name for name in schema if name not in verdicts]
    # The features of a finished model know which words were gaps when it learned them, and which were values.
    exact = {name: data.gap_words(finals[name]) if text is None else () for name in left}
    expressions = [_words(name, schema[name], told.get(name), exact[name]) for name in left]
    changed += [expression for expression in expressions if expression is not None]
    found = {finals[name]: verdict for name, verdict in verdicts.items()}
    columns = {name: verdict.section for name, verdict in found.items() if verdict.section is not None}
    return Spelled(
        frame.with_columns(changed),
        {finals[name]: section for name, section in told.items()} | columns,
        {name: verdict.words for name, verdict in found.items() if verdict.words},
        {name: doubt(name, verdict) for name, verdict in found.items() if verdict.doubt}
        | {finals[name]: doubt(finals[name], verdict) for name, verdict in unsure.items()},
    )


def doubt(name: str, verdict: Verdict) -> str:
    """How an ambiguous column is read, and how to set it."""
    return f"{verdict.doubt}; if that is wrong, set data.columns.{name}.format"


def _is_open(final: str, section: ColumnSection | None, data: DataSection) -> bool:
    """Whether it is to be found out how a column is spelled."""
    declared = data.kinds.get(final) in ("categorical", "identifier", "boolean", "text")
    return not (declared or (section is not None and (section.format is not None or section.not_gaps)))


def _may_read(reader: Reader, dtype: pl.DataType) -> bool:
    """Whether a reader changes cells of this type. Numbers are numbers already, but may be times."""
    return dtype == pl.String or (dtype.is_numeric() and reader.family == "dates")


def _in_plain_types(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The table with columns of rarer types as numbers, seconds, moments in UTC, and text."""
    frame = in_common_types(frame)
    schema = dict(frame.collect_schema())
    wide = [name for name, dtype in schema.items() if _is_wide(dtype)]
    plain = [column(name).cast(dtype) for name, dtype in _narrower(frame, wide).items()]
    for name, dtype in schema.items():
        cells = column(name)
        if isinstance(dtype, pl.Decimal) and name not in wide:
            plain.append(cells.cast(pl.Float64))
        elif dtype in (pl.Duration, pl.Time):
            plain.append(mapped(name, native_numbers, pl.Float64()))
        elif isinstance(dtype, pl.Datetime):
            zoned = cells.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else cells
            if dtype != pl.Datetime("us"):
                plain.append(zoned.cast(pl.Datetime("us")))
    return frame.with_columns(plain)


def _is_wide(dtype: pl.DataType) -> bool:
    """Whether a type holds whole numbers that may be too large for a float; databases give keys as decimals."""
    if isinstance(dtype, pl.Decimal):
        return dtype.scale == 0 and (dtype.precision is None or dtype.precision > _EXACT)
    return dtype in _WIDE


def _narrower(frame: pl.LazyFrame, wide: Sequence[str]) -> dict[str, pl.DataType]:
    """Types for whole numbers of more than 64 bits, which other programs cannot read, and for decimals without places.

    If all have more digits than any measurement, they are keys and become text, so that none equals another.
    """
    if not wide:
        return {}
    ends = [column(name).min().alias(f"least {at}") for at, name in enumerate(wide)]
    ends += [column(name).max().alias(f"most {at}") for at, name in enumerate(wide)]
    found = frame.select(ends).collect(engine="streaming").row(0)
    schema = frame.collect_schema()
    return {
        name: _holding(schema[name], least or 0, most or 0)
        for name, least, most in zip(wide, found[: len(wide)], found[len(wide) :], strict=True)
    }


def _holding(dtype: pl.DataType, least: int | Decimal, most: int | Decimal) -> pl.DataType:
    """The type for whole numbers from `least` to `most`, which are of type `dtype` now."""
    if isinstance(dtype, pl.Decimal) and max(-least, most) < 10**_EXACT:
        return pl.Float64()  # as decimals with places
    if least >= -(2**63) and most < 2**63:
        return pl.Int64()
    if least >= _KEYS_FROM:
        return pl.String()
    return pl.UInt64() if least >= 0 and most < 2**64 else pl.Float64()


def _read(name: str, verdict: Verdict) -> pl.Expr:
    """The cells of a column as values, or as text in the plain spelling if some cannot be read."""
    function = verdict.reader.plain if verdict.dtype == pl.String else _typed(verdict.reader, verdict.dtype)
    return mapped(name, function, verdict.dtype)


def _typed(reader: Reader, dtype: pl.DataType) -> Callable[[pl.Series], pl.Series]:
    def read(cells: pl.Series) -> pl.Series:
        values = reader.values(cells)
        return whole_values(cells, values) if dtype == pl.Int64 else values.cast(dtype)

    return read


def _words(name: str, dtype: pl.DataType, section: ColumnSection | None, exact: Collection[str]) -> pl.Expr | None:
    """The cells of a column of words: blank cells and gap words are missing; None if nothing changes.

    Args:
        name: of the column.
        dtype: of the column.
        section: what is known of its spelling, its own gap words among it.
        exact: words that are gaps as they are written.
    """
    wanted = section is not None and section.format == TEXT
    if dtype != pl.String and not wanted:
        return None
    return without_gaps(as_text(name, dtype), section.gaps if section is not None else (), exact=exact).alias(name)
