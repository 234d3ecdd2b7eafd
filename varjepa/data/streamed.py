"""Statistics of training rows that Polars reads in this process, as a stream where there are many."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import polars as pl

from varjepa.config.data import KIND
from varjepa.data.inspect import ColumnProfile, column_profile, flag, profile
from varjepa.data.preprocess import as_text
from varjepa.data.training_rows import COLUMNS_AT_ONCE, MOST_DECIMALS, Moments, Wanted, number, told_apart, value_counts

STREAM_ROWS = 1_000_000
"""More rows than these are read as a stream."""

PIECE_ROWS = 100_000
"""Up to so many rows are one piece of a stream, which has an order only among pieces."""

GLANCE_ROWS = 100_000
"""Of tables read as a stream so many rows, evenly spaced, tell the kinds of most columns."""

DECIMALS = tuple(range(MOST_DECIMALS + 1))
COUNT = "__count__"


class StreamedRows:
    """See `varjepa.data.training_rows.TrainingRows`."""

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
        glanced = [
            name for name in columns if self.schema[name].is_numeric() or self.schema[name] in (pl.Date, pl.Datetime)
        ]
        sample = frame.select(glanced).gather_every(self.rows // GLANCE_ROWS).collect(engine="streaming")
        settled = {
            name: facts
            for name, facts in profile(sample.lazy(), declared).items()
            # One value twice, or a fraction: no identifier.
            if facts.distinct > enough.get(name, 2) and (facts.distinct < facts.rows - facts.missing or not facts.whole)
        }
        with pl.Config(engine_affinity="streaming"):
            return {name: settled.get(name) or self._profile(name, declared) for name in columns}

    def _profile(self, name: str, declared: Mapping[str, KIND]) -> ColumnProfile:
        """The profile of one column from all rows."""
        rows, dtype = self._frame.select(name), self.schema[name]
        if dtype != pl.String:
            return profile(rows, declared)[name]
        # Words repeat: each is looked at once.
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
        return [of for start in starts for of in told_apart(self._moments, columns[start : start + COLUMNS_AT_ONCE])]

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


def one_set(runs: Sequence[Sequence[ColumnProfile]]) -> list[pl.Expr]:
    """An expression per run of 0/1 columns: whether every row has exactly one of them set."""
    counts = [pl.sum_horizontal(flag(facts.name, facts.dtype) for facts in run) for run in runs]
    return [(count == 1).all().alias(str(place)) for place, count in enumerate(counts)]


def beyond(column: pl.Expr, decimals: int) -> pl.Expr:
    """The largest distance of cells from what they are when rounded."""
    return (column.round(decimals) - column).abs().max()
