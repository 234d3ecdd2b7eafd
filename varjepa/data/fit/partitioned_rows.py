"""Statistics of training rows in partitions: computed per partition, in any process, and merged exactly."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, Self, TypeVar

import polars as pl

from varjepa.config.data import KIND
from varjepa.data.cells import as_text, by_name
from varjepa.data.fit.merging import ColumnFacts, Sums, Tally, comparable, moments
from varjepa.data.fit.ranges import OpenRows, ParallelMap, counted, map_in_this_thread, profiles_of, ranges
from varjepa.data.fit.rows_protocol import (
    COLUMNS_AT_ONCE,
    Moments,
    Vocabulary,
    Wanted,
    gather_by_column,
    number,
    value_counts,
)
from varjepa.data.fit.streamed_rows import one_set
from varjepa.data.read.column_profile import ColumnProfile

MOST_VALUES = 2**16
"""Columns with more distinct values than this are counted range by range, to bound the memory."""

_A = TypeVar("_A")


class PartitionedRows:
    """Implements `varjepa.data.fit.rows_protocol.TrainingRows` over partitions.

    A round calls one function with every partition. The number of rounds does not depend on the number of columns,
    except for columns with very many distinct values. Kinds, counts, vocabularies and samples equal those of the whole
    table; means and deviations are equal up to rounding.

    Args:
        partitions: of the training rows, in the order of the rows.
        parallel_map: calls functions with partitions.
    """

    def __init__(self, partitions: Sequence[OpenRows], parallel_map: ParallelMap = map_in_this_thread) -> None:
        self._partitions = partitions
        self._parallel_map = parallel_map
        self.schema: Mapping[str, pl.DataType] = partitions[0]().collect_schema()
        self._heights: list[int] = []
        self._few: dict[str, dict[Any, int]] = {}

    @property
    def rows(self) -> int:
        """Number of rows. Call `profiles` first, which counts them."""
        return sum(self._heights)

    def head(self, columns: Sequence[str], rows: int) -> pl.DataFrame:
        """In this process."""
        return pl.concat([partition().select(by_name(columns)) for partition in self._partitions]).head(rows).collect()

    def profiles(
        self,
        columns: Sequence[str],
        declared: Mapping[str, KIND],
        enough: Mapping[str, int],  # noqa: ARG002
    ) -> dict[str, ColumnProfile]:
        """Uses all rows and ignores `enough`. Takes one round, and another for each column that may identify rows."""
        answers = list(self._parallel_map(partial(facts, columns=list(columns)), self._partitions))
        self._heights = [height for height, _ in answers]
        parts = {name: [by_column[name] for _, by_column in answers] for name in columns}
        self._few = {name: ColumnFacts.merged(column_parts).few or {} for name, column_parts in parts.items()}
        return profiles_of(
            parts, self.schema, declared, rows=self.rows, partitions=self._partitions, parallel_map=self._parallel_map
        )

    def flag_sums(self, flags: Sequence[ColumnProfile]) -> dict[str, int]:
        """No round: `profiles` has counted the values already."""
        return {facts.name: self._few[facts.name].get(1, 0) for facts in flags}

    def one_set(self, runs: Sequence[Sequence[ColumnProfile]]) -> list[bool]:
        """In one round."""
        answers = self._parallel_map(partial(all_set_once, runs=runs), self._partitions)
        return [all(holds) for holds in zip(*answers, strict=True)]

    def moments(self, columns: Sequence[ColumnProfile]) -> list[Moments]:
        """In one round."""
        answers = list(self._parallel_map(partial(sums, columns=columns), self._partitions)) if columns else []
        # From one list per partition to one tuple per column.
        return [moments(parts) for parts in zip(*answers, strict=True)]

    def sample(self, columns: Sequence[ColumnProfile], stride: int) -> pl.DataFrame:
        """In one round. Rows are numbered through all partitions, so the sample does not depend on their borders."""
        before = accumulate(self._heights[:-1], initial=0)
        placed = zip(self._partitions, before, strict=True)
        return pl.concat(self._parallel_map(partial(picked, columns=columns, stride=stride), placed))

    def texts(self, facts: ColumnProfile, stride: int) -> pl.Series:
        """In one round."""
        before = accumulate(self._heights[:-1], initial=0)
        placed = zip(self._partitions, before, strict=True)
        return pl.concat(self._parallel_map(partial(picked_texts, facts=facts, stride=stride), placed)).alias("")

    def derived(self, add: Callable[[pl.LazyFrame], pl.LazyFrame]) -> Self:
        """The further columns are made where a partition is read."""
        rows = type(self)([partial(with_added, partition, add) for partition in self._partitions], self._parallel_map)
        rows._heights, rows._few = self._heights, self._few  # noqa: SLF001 (same class)
        return rows

    def frequent(self, wanted: Sequence[Wanted]) -> Iterator[Vocabulary]:
        """In one round, and another for each column with very many distinct values."""
        columns = [column.facts for column in wanted]
        tallies = [Tally(MOST_VALUES, NOTHING) for _ in columns]
        parts = self._parallel_map(partial(tallied, columns=columns, limit=MOST_VALUES), self._partitions)
        for part in parts if columns else []:
            for tally, part_tally in zip(tallies, part, strict=True):
                tally.add(part_tally)
        for column, tally in zip(wanted, tallies, strict=True):
            yield column.frequent(self._by_ranges(column, tally) if tally.counts is None else tally.counts, tally.cells)

    def _by_ranges(self, wanted: Wanted, tally: Tally) -> pl.DataFrame:
        # The most frequent values of all are among the most frequent ones of their ranges.
        column = as_text(wanted.facts.name, wanted.facts.dtype)
        count = partial(counted, partitions=self._partitions, column=column, most=wanted.most)
        return pl.concat(self._parallel_map(count, ranges(tally.cuts, tally.distinct)))


NOTHING = pl.DataFrame(schema={"value": pl.String, "len": pl.get_index_type()})
"""Empty counts, with the types of `value_counts`."""


def facts(rows: OpenRows, columns: Sequence[str]) -> tuple[int, dict[str, ColumnFacts]]:
    """The number of rows of a partition, and the facts of its columns."""
    frame = rows()
    schema = frame.collect_schema()
    by_column = {
        cells.name: ColumnFacts.of(cells)
        for group in _groups(columns)
        for cells in frame.select(comparable(name, schema[name]) for name in group).collect()
    }
    return int(frame.select(pl.len()).collect().item()), by_column


def all_set_once(rows: OpenRows, runs: Sequence[Sequence[ColumnProfile]]) -> list[bool]:
    """For runs of 0/1 columns: whether every row of a partition has exactly one of them set."""
    return list(rows().select(one_set(runs)).collect().row(0))


def sums(rows: OpenRows, columns: Sequence[ColumnProfile]) -> list[Sums | None]:
    """Sums of the numeric columns of a partition.

    Raises:
        DataError: one of them holds text.
    """

    def gather(group: Sequence[ColumnProfile]) -> list[Sums | None]:
        return [Sums.of(cells) for cells in rows().select(map(number, group)).collect()]

    return [column_sums for group in _groups(columns) for column_sums in gather_by_column(gather, group)]


def picked(placed: tuple[OpenRows, int], columns: Sequence[ColumnProfile], stride: int) -> pl.DataFrame:
    """Numeric columns of every `stride`-th row of the whole table that lies in this partition.

    Args:
        placed: opens the rows; number of rows in the partitions before this one.
        columns: to read.
        stride: distance between sampled rows.
    """
    rows, before = placed
    # The first multiple of `stride` that is at least `before`, as a row of this partition.
    return rows().select(map(number, columns)).gather_every(stride, offset=-before % stride).collect()


def picked_texts(placed: tuple[OpenRows, int], facts: ColumnProfile, stride: int) -> pl.Series:
    """The same for the text of a column, without missing cells."""
    rows, before = placed
    text = rows().select(as_text(facts.name, facts.dtype))
    return text.gather_every(stride, offset=-before % stride).drop_nulls().collect().to_series()


def with_added(rows: OpenRows, add: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.LazyFrame:
    """The rows of a partition with further columns."""
    return add(rows())


def tallied(rows: OpenRows, columns: Sequence[ColumnProfile], limit: int) -> list[Tally]:
    """Counts of the values of a partition's columns, as text."""
    texts = [as_text(facts.name, facts.dtype) for facts in columns]
    return [Tally(limit, value_counts(rows(), text).collect()) for text in texts]


def _groups(columns: Sequence[_A]) -> Iterator[Sequence[_A]]:
    """Columns in groups that are read together: enough to be fast, few enough to bound the memory."""
    return (columns[start : start + COLUMNS_AT_ONCE] for start in range(0, len(columns), COLUMNS_AT_ONCE))
