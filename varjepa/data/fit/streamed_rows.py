"""Statistics of training rows that Polars reads in this process, as a stream if there are many.

Up to `STREAM_ROWS` rows everything is computed at once. Beyond that, three things bound the memory: columns are read in
groups of `COLUMNS_AT_ONCE`, kinds come from a sample where more rows cannot change them, and columns with ever new
values are read in pieces whose facts are merged (`merging.py`).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import polars as pl

from varjepa.config.data import KIND
from varjepa.data.cells import as_text, by_name, column, finite, flag, nameless, reads_plainly
from varjepa.data.fit.merging import FEW, ColumnFacts, comparable
from varjepa.data.fit.ranges import profiles_of
from varjepa.data.fit.rows_protocol import (
    COLUMNS_AT_ONCE,
    MOST_DECIMALS,
    Moments,
    Vocabulary,
    Wanted,
    gather_by_column,
    number,
    value_counts,
)
from varjepa.data.read.column_profile import ColumnProfile, column_profile, profile
from varjepa.data.read.identifiers import MOST_REPEATS, is_unnamed
from varjepa.data.read.text_columns import sketch

STREAM_ROWS = 1_000_000
"""Tables with more rows than this are read as a stream."""

PIECE_ROWS = 100_000
"""Up to this many rows are one piece of a stream. Within a piece the order of additions is fixed."""

GLANCE_ROWS = 100_000
"""In a stream, the kinds of most columns come from this many rows, evenly spaced."""

DECIMALS = tuple(range(MOST_DECIMALS + 1))
COUNT = "__count__"


class StreamedRows:
    """Implements `varjepa.data.fit.rows_protocol.TrainingRows` for one process.

    Args:
        frame: the training rows.
    """

    def __init__(self, frame: pl.LazyFrame) -> None:
        self._frame = frame
        self.schema: Mapping[str, pl.DataType] = frame.collect_schema()
        self.rows = int(frame.select(pl.len()).collect().item())

    def head(self, columns: Sequence[str], rows: int) -> pl.DataFrame:
        """Reads no others."""
        return self._frame.select(by_name(columns)).head(rows).collect()

    def profiles(
        self, columns: Sequence[str], declared: Mapping[str, KIND], enough: Mapping[str, int]
    ) -> dict[str, ColumnProfile]:
        """Profiles of columns. With many rows, from a sample if more rows cannot change the kind.

        The reason: counting the values of a column with many distinct numbers needs more memory than training on it.
        """
        frame = self._frame.select(by_name(columns))
        if self.rows <= STREAM_ROWS:
            return profile(frame, declared)
        sample = frame.gather_every(self.rows // GLANCE_ROWS).collect(engine="streaming")
        profiles = dict[str, ColumnProfile]()
        for name in columns:
            dtype, cells = self.schema[name], nameless(sample[name]).drop_nulls()
            if dtype.is_nested():
                profiles[name] = column_profile(name, dtype, self.rows, {}, declared.get(name))
            elif dtype == pl.String and cells.n_unique() < len(cells) / 2:
                # Words repeat in the sample, so there are few distinct ones: count them in all rows.
                profiles[name] = self._words(name, declared)
            elif dtype.is_numeric() or dtype in (pl.Date, pl.Datetime):
                facts = profile(sample.lazy().select(column(name)), declared)[name]
                # With many repeated values (an unnamed index may repeat) or a fraction in the sample, the column is not
                # an identifier. With more than `enough` distinct values, it is neither constant nor boolean. So the
                # sample settles its kind.
                repeats = 1 - facts.distinct / max(1, facts.rows - facts.missing)
                not_identifier = not facts.whole or (repeats > MOST_REPEATS and not is_unnamed(name))
                if facts.distinct > enough.get(name, 2) and not_identifier:
                    profiles[name] = facts
        # The sample does not settle the kind of the remaining columns.
        profiles |= self._merged([name for name in columns if name not in profiles], declared)
        return {name: profiles[name] for name in columns}

    def whole_profiles(self) -> dict[str, ColumnProfile]:
        """Profiles of all columns for people: missing cells and ranges come from all rows.

        With many rows, a number of distinct values above `FEW` is an estimate with two significant digits.
        """
        profiles = self.profiles(list(self.schema), {}, {})
        if self.rows <= STREAM_ROWS:
            return profiles
        flat = {name: dtype for name, dtype in self.schema.items() if profiles[name].kind != "unsupported"}
        # One struct per column, so that one pass gathers the facts of all of them.
        facts = self._frame.select(
            pl.struct(value.alias(fact) for fact, value in _cheap_facts(name, dtype).items()).alias(name)
            for name, dtype in flat.items()
        )
        values = facts.collect(engine="streaming").row(0, named=True) if flat else {}
        return {name: _completed(facts, self.rows, values.get(name, {})) for name, facts in profiles.items()}

    def _merged(self, columns: Sequence[str], declared: Mapping[str, KIND]) -> dict[str, ColumnProfile]:
        """Profiles of columns from all rows, in pieces. So columns whose values never repeat fit into memory, too."""
        parts = defaultdict[str, list[ColumnFacts]](list)
        for start in range(0, len(columns), COLUMNS_AT_ONCE):
            group = self._frame.select(
                comparable(name, self.schema[name]) for name in columns[start : start + COLUMNS_AT_ONCE]
            )
            # The same facts as of partitions: here a piece of the stream is a partition.
            for piece in group.collect_batches(chunk_size=STREAM_ROWS, maintain_order=True):
                for cells in piece:
                    parts[cells.name].append(ColumnFacts.of(cells))
        return profiles_of(parts, self.schema, declared, rows=self.rows, partitions=[lambda: self._frame])

    def _words(self, name: str, declared: Mapping[str, KIND]) -> ColumnProfile:
        """The profile of a text column with repeated values: each distinct value is parsed once."""
        rows, dtype = self._frame.select(column(name)), self.schema[name]
        word, count = column(name), pl.col(COUNT)
        plain = reads_plainly(word)
        counts = rows.group_by(word).agg(pl.len().alias(COUNT)).collect(engine="streaming")
        facts = counts.select(
            missing=count.filter(word.is_null()).sum(), distinct=word.drop_nulls().len(),
            numbers=count.filter(plain).sum(), words=word.filter(~plain).min(),
        ).row(0, named=True)  # fmt: skip
        words = {"sketch": sketch(counts.to_series(0))} if facts["distinct"] > FEW else {}
        return column_profile(name, dtype, self.rows, facts | words, declared.get(name))

    def flag_sums(self, flags: Sequence[ColumnProfile]) -> dict[str, int]:
        """In one pass over the rows."""
        sums = (flag(facts.name, facts.dtype).sum().alias(facts.name) for facts in flags)
        return self._frame.select(sums).collect().row(0, named=True)

    def one_set(self, runs: Sequence[Sequence[ColumnProfile]]) -> list[bool]:
        """In one pass over the rows."""
        return list(self._frame.select(one_set(runs)).collect().row(0))

    def moments(self, columns: Sequence[ColumnProfile]) -> list[Moments]:
        """In one pass over the rows per group of columns."""
        starts = range(0, len(columns), COLUMNS_AT_ONCE)
        return [
            column_moments
            for start in starts
            for column_moments in gather_by_column(self._moments, columns[start : start + COLUMNS_AT_ONCE])
        ]

    def _moments(self, columns: Sequence[ColumnProfile]) -> list[Moments]:
        if self.rows <= STREAM_ROWS:
            return self._gathered(self._frame, columns, [DECIMALS] * len(columns))
        # The number of decimals is the expensive part: it rounds all cells to 0, 1, ... `MOST_DECIMALS` decimals, seven
        # times. So the first rows propose a number n, and the pass over all rows only checks n.
        first = self._gathered(self._frame.head(PIECE_ROWS), columns, [DECIMALS] * len(columns))
        empty = [moments.smallest is None for moments in first]
        # n per column; len(DECIMALS) means "more than `MOST_DECIMALS`", or no cells among the first rows.
        proposed = [len(DECIMALS) if no_cells or moments.decimals is None else moments.decimals
                    for moments, no_cells in zip(first, empty, strict=True)]  # fmt: skip
        # Fewer than n decimals were too few for the first rows, so they are for all rows: keep those distances.
        checked = [
            moments._replace(beyond=of_first.beyond[:n] + moments.beyond[n:])
            for moments, of_first, n in zip(
                self._gathered(self._frame, columns, [DECIMALS[n : n + 1] for n in proposed]),
                first,
                proposed,
                strict=True,
            )
        ]
        confirmed = [
            not no_cells and moments.decimals == of_first.decimals
            for moments, of_first, no_cells in zip(checked, first, empty, strict=True)
        ]
        # Where all rows need more decimals than the first ones, a second pass tries all numbers.
        others = [facts for facts, right in zip(columns, confirmed, strict=True) if not right]
        again = iter(self._gathered(self._frame, others, [DECIMALS] * len(others)) if others else [])
        return [moments if right else next(again) for moments, right in zip(checked, confirmed, strict=True)]

    def _gathered(
        self, frame: pl.LazyFrame, columns: Sequence[ColumnProfile], tried: Sequence[Sequence[int]]
    ) -> list[Moments]:
        """Moments of columns in one pass.

        Args:
            frame: the rows.
            columns: numeric columns.
            tried: per column, the numbers of decimals whose rounding distances are computed; others are infinite.
        """
        parts = []
        for place, (facts, decimals) in enumerate(zip(columns, tried, strict=True)):
            column = number(facts)
            statistics = {
                "mean": column.mean(), "std": column.std(ddof=0), "skew": column.skew(), "min": column.min(),
                "max": column.max(),
            } | {f"beyond {d}": beyond(column, d) for d in decimals}  # fmt: skip
            parts.append(pl.struct(value.alias(name) for name, value in statistics.items()).alias(str(place)))
        values = frame.select(parts).collect(engine=self._engine).row(0)
        return [
            Moments(
                column["mean"], column["std"], column["skew"], column["min"], column["max"],
                tuple(column.get(f"beyond {d}", math.inf) for d in DECIMALS),
            )
            for column in values
        ]  # fmt: skip

    def sample(self, columns: Sequence[ColumnProfile], stride: int) -> pl.DataFrame:
        """In one pass over the rows."""
        return self._frame.select(map(number, columns)).gather_every(stride).collect(engine=self._engine)

    def texts(self, facts: ColumnProfile, stride: int) -> pl.Series:
        """In one pass over the column."""
        text = as_text(facts.name, facts.dtype)
        return (
            self._frame.select(text)
            .gather_every(stride)
            .drop_nulls()
            .collect(engine=self._engine)
            .to_series()
            .alias("")
        )

    def derived(self, add: Callable[[pl.LazyFrame], pl.LazyFrame]) -> Self:
        """Reads the further columns anew in every pass."""
        return type(self)(add(self._frame))

    def frequent(self, wanted: Sequence[Wanted]) -> Iterator[Vocabulary]:
        """In one pass over the rows per column, so that the values of only one column are in memory."""
        for one in wanted:
            counts = value_counts(self._frame, as_text(one.facts.name, one.facts.dtype))
            yield one.frequent(counts.collect(engine="streaming"))

    @property
    def _engine(self) -> Literal["auto", "in-memory", "streaming"]:
        # A stream adds up pieces in any order, which changes the last digit of sums. Tables that fit into memory are
        # not streamed, so that their results repeat exactly.
        if self.rows > STREAM_ROWS:
            return "streaming"
        return "in-memory" if self.rows > PIECE_ROWS else "auto"


def _cheap_facts(name: str, dtype: pl.DataType) -> dict[str, pl.Expr]:
    """Facts about a column that can be gathered from all rows in little memory."""
    cells = finite(column(name), dtype)
    facts = {"missing": cells.null_count(), "distinct": cells.approx_n_unique()}
    if dtype.is_numeric() or dtype.is_temporal():
        facts |= {"smallest": cells.min(), "largest": cells.max()}
    return facts | ({"whole": (cells == cells.round()).all()} if dtype.is_float() else {})


def _completed(facts: ColumnProfile, rows: int, of_all_rows: dict[str, Any]) -> ColumnProfile:
    """A profile from a sample, with facts from all rows in place of those of the sample."""
    if not of_all_rows:
        return facts
    estimate = int(float(f"{of_all_rows.pop('distinct'):.2g}"))
    # `FEW` + 1 stands for "more than `FEW`" (see `profiles_of`).
    exact = facts.rows == rows and facts.distinct != FEW + 1
    return replace(
        facts,
        rows=rows,
        distinct=facts.distinct if exact else min(estimate, rows - of_all_rows["missing"]),
        **of_all_rows,
    )


def one_set(runs: Sequence[Sequence[ColumnProfile]]) -> list[pl.Expr]:
    """One expression per run of 0/1 columns: whether every row has exactly one of them set."""
    counts = [pl.sum_horizontal(flag(facts.name, facts.dtype) for facts in run) for run in runs]
    return [(count == 1).all().alias(str(place)) for place, count in enumerate(counts)]


def beyond(column: pl.Expr, decimals: int) -> pl.Expr:
    """The largest distance between a cell and the cell rounded to `decimals` decimals."""
    return (column.round(decimals) - column).abs().max()
