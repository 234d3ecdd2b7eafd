"""Statistics of training rows that Polars reads in this process, as a stream where there are many."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import polars as pl

from varjepa.config.data import KIND
from varjepa.data.cells import as_text, finite, flag
from varjepa.data.fit.merging import FEW, ColumnFacts, comparable
from varjepa.data.fit.ranges import profiles_of
from varjepa.data.fit.rows_protocol import (
    COLUMNS_AT_ONCE,
    MOST_DECIMALS,
    Moments,
    Wanted,
    gather_by_column,
    number,
    value_counts,
)
from varjepa.data.read.column_profile import ColumnProfile, column_profile, profile

STREAM_ROWS = 1_000_000
"""More rows than these are read as a stream."""

PIECE_ROWS = 100_000
"""Up to so many rows are one piece of a stream, which has an order only among pieces."""

GLANCE_ROWS = 100_000
"""Of tables read as a stream so many rows, evenly spaced, tell the kinds of most columns."""

DECIMALS = tuple(range(MOST_DECIMALS + 1))
COUNT = "__count__"


class StreamedRows:
    """See `varjepa.data.fit.rows_protocol.TrainingRows`."""

    def __init__(self, frame: pl.LazyFrame) -> None:
        self._frame = frame
        self.schema: Mapping[str, pl.DataType] = frame.collect_schema()
        self.rows = int(frame.select(pl.len()).collect().item())

    def profiles(
        self, columns: Sequence[str], declared: Mapping[str, KIND], enough: Mapping[str, int]
    ) -> dict[str, ColumnProfile]:
        """Profiles of columns; of many rows those of a sample where more rows could not change the kind.

        To count the values of a column of many different numbers takes more memory than to train on it.
        """
        frame = self._frame.select(columns)
        if self.rows <= STREAM_ROWS:
            return profile(frame, declared)
        sample = frame.gather_every(self.rows // GLANCE_ROWS).collect(engine="streaming")
        found = dict[str, ColumnProfile]()
        for name in columns:
            dtype, cells = self.schema[name], sample[name].drop_nulls()
            if dtype.is_nested():
                found[name] = column_profile(name, dtype, self.rows, {}, declared.get(name))
            elif dtype == pl.String and cells.n_unique() < len(cells) / 2:
                found[name] = self._words(name, declared)
            elif dtype.is_numeric() or dtype in (pl.Date, pl.Datetime):
                facts = profile(sample.lazy().select(name), declared)[name]
                # One value twice, or a fraction: no identifier.
                telling = facts.distinct < facts.rows - facts.missing or not facts.whole
                if facts.distinct > enough.get(name, 2) and telling:
                    found[name] = facts
        found |= self._merged([name for name in columns if name not in found], declared)
        return {name: found[name] for name in columns}

    def whole_profiles(self) -> dict[str, ColumnProfile]:
        """Profiles of all columns for people, missing cells and ranges from all rows.

        Of many rows the number of different values is an estimate to two digits where there are more than `FEW`.
        """
        found = self.profiles(list(self.schema), {}, {})
        if self.rows <= STREAM_ROWS:
            return found
        flat = {name: dtype for name, dtype in self.schema.items() if found[name].kind != "nested"}
        facts = self._frame.select(
            pl.struct(value.alias(fact) for fact, value in _told(name, dtype).items()).alias(name)
            for name, dtype in flat.items()
        )
        values = facts.collect(engine="streaming").row(0, named=True) if flat else {}
        return {name: _told_of_all(of, self.rows, values.get(name, {})) for name, of in found.items()}

    def _merged(self, columns: Sequence[str], declared: Mapping[str, KIND]) -> dict[str, ColumnProfile]:
        """Profiles of columns from all rows, some at a time, so that columns of ever new values can be told, too."""
        parts = defaultdict[str, list[ColumnFacts]](list)
        for start in range(0, len(columns), COLUMNS_AT_ONCE):
            some = self._frame.select(
                comparable(name, self.schema[name]) for name in columns[start : start + COLUMNS_AT_ONCE]
            )
            for piece in some.collect_batches(chunk_size=STREAM_ROWS, maintain_order=True):
                for cells in piece:
                    parts[cells.name].append(ColumnFacts.of(cells))
        return profiles_of(parts, self.schema, declared, rows=self.rows, partitions=[lambda: self._frame])

    def _words(self, name: str, declared: Mapping[str, KIND]) -> ColumnProfile:
        """The profile of a column of words that repeat: each is looked at once."""
        rows, dtype = self._frame.select(name), self.schema[name]
        word, count = pl.col(name), pl.col(COUNT)
        parsed = word.str.strip_chars().cast(pl.Float64, strict=False)
        counts = rows.group_by(name).agg(pl.len().alias(COUNT)).collect(engine="streaming")
        facts = counts.select(
            missing=count.filter(word.is_null()).sum(), distinct=word.drop_nulls().len(),
            numbers=count.filter(parsed.is_not_null()).sum(), words=word.filter(parsed.is_null()).min(),
        )  # fmt: skip
        return column_profile(name, dtype, self.rows, facts.row(0, named=True), declared.get(name))

    def flag_sums(self, flags: Sequence[ColumnProfile]) -> dict[str, int]:
        """In one pass over the rows."""
        sums = (flag(facts.name, facts.dtype).sum().alias(facts.name) for facts in flags)
        return self._frame.select(sums).collect().row(0, named=True)

    def one_set(self, runs: Sequence[Sequence[ColumnProfile]]) -> list[bool]:
        """In one pass over the rows."""
        return list(self._frame.select(one_set(runs)).collect().row(0))

    def moments(self, columns: Sequence[ColumnProfile]) -> list[Moments]:
        """In a pass over the rows for some columns at a time."""
        starts = range(0, len(columns), COLUMNS_AT_ONCE)
        return [
            of for start in starts for of in gather_by_column(self._moments, columns[start : start + COLUMNS_AT_ONCE])
        ]

    def _moments(self, columns: Sequence[ColumnProfile]) -> list[Moments]:
        if self.rows <= STREAM_ROWS:
            return self._gathered(self._frame, columns, [DECIMALS] * len(columns))
        # Rounding all cells seven times is most of the work, and a few rows tell which number of decimals is left.
        few = self._gathered(self._frame.head(PIECE_ROWS), columns, [DECIMALS] * len(columns))
        empty = [of.smallest is None for of in few]
        out = [len(DECIMALS) if none or of.decimals is None else of.decimals
               for of, none in zip(few, empty, strict=True)]  # fmt: skip
        found = [
            of._replace(beyond=some.beyond[:n] + of.beyond[n:])
            for of, some, n in zip(
                self._gathered(self._frame, columns, [DECIMALS[n : n + 1] for n in out]), few, out, strict=True
            )
        ]
        told = [not none and of.decimals == some.decimals for of, some, none in zip(found, few, empty, strict=True)]
        others = [facts for facts, right in zip(columns, told, strict=True) if not right]
        again = iter(self._gathered(self._frame, others, [DECIMALS] * len(others)) if others else [])
        return [of if right else next(again) for of, right in zip(found, told, strict=True)]

    def _gathered(
        self, frame: pl.LazyFrame, columns: Sequence[ColumnProfile], asked: Sequence[Sequence[int]]
    ) -> list[Moments]:
        """In one pass; distances from what is rounded to the decimals `asked` for each column, infinite for others."""
        parts = []
        for place, (facts, decimals) in enumerate(zip(columns, asked, strict=True)):
            column = number(facts)
            statistics = {
                "mean": column.mean(), "std": column.std(ddof=0), "skew": column.skew(), "min": column.min(),
                "max": column.max(),
            } | {f"beyond {d}": beyond(column, d) for d in decimals}  # fmt: skip
            parts.append(pl.struct(value.alias(name) for name, value in statistics.items()).alias(str(place)))
        found = frame.select(parts).collect(engine=self._engine).row(0)
        return [
            Moments(
                of["mean"], of["std"], of["skew"], of["min"], of["max"],
                tuple(of.get(f"beyond {d}", math.inf) for d in DECIMALS),
            )
            for of in found
        ]  # fmt: skip

    def sample(self, columns: Sequence[ColumnProfile], stride: int) -> pl.DataFrame:
        """In one pass over the rows."""
        return self._frame.select(map(number, columns)).gather_every(stride).collect(engine=self._engine)

    def frequent(self, wanted: Sequence[Wanted]) -> Iterator[list[str]]:
        """In a pass over the rows for each column, so that the values of one at a time are in memory."""
        for one in wanted:
            counts = value_counts(self._frame, as_text(one.facts.name, one.facts.dtype))
            yield one.frequent(counts.collect(engine="streaming"))

    @property
    def _engine(self) -> Literal["auto", "in-memory", "streaming"]:
        # Streams add up in any order, which shows in the last digit; where memory is no matter, results repeat exactly.
        if self.rows > STREAM_ROWS:
            return "streaming"
        return "in-memory" if self.rows > PIECE_ROWS else "auto"


def _told(name: str, dtype: pl.DataType) -> dict[str, pl.Expr]:
    """What of a column can be gathered from all rows in little memory."""
    column = finite(pl.col(name), dtype)
    told = {"missing": column.null_count(), "distinct": column.approx_n_unique()}
    if dtype.is_numeric() or dtype.is_temporal():
        told |= {"smallest": column.min(), "largest": column.max()}
    return told | ({"whole": (column == column.round()).all()} if dtype.is_float() else {})


def _told_of_all(facts: ColumnProfile, rows: int, told: dict[str, Any]) -> ColumnProfile:
    if not told:
        return facts
    estimate = int(float(f"{told.pop('distinct'):.2g}"))
    exact = facts.rows == rows and facts.distinct != FEW + 1
    return replace(
        facts, rows=rows, distinct=facts.distinct if exact else min(estimate, rows - told["missing"]), **told
    )


def one_set(runs: Sequence[Sequence[ColumnProfile]]) -> list[pl.Expr]:
    """An expression per run of 0/1 columns: whether every row has exactly one of them set."""
    counts = [pl.sum_horizontal(flag(facts.name, facts.dtype) for facts in run) for run in runs]
    return [(count == 1).all().alias(str(place)) for place, count in enumerate(counts)]


def beyond(column: pl.Expr, decimals: int) -> pl.Expr:
    """The largest distance of cells from what they are when rounded."""
    return (column.round(decimals) - column).abs().max()
