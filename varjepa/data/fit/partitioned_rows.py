"""Statistics of training rows in partitions: gathered wherever somebody calls a function with each, merged exactly."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, TypeVar

import polars as pl

from varjepa.config.data import KIND
from varjepa.data.cells import as_text
from varjepa.data.fit.merging import ColumnFacts, Sums, Tally, comparable, moments
from varjepa.data.fit.ranges import OpenRows, ParallelMap, counted, here, profiles_of, ranges
from varjepa.data.fit.rows_protocol import COLUMNS_AT_ONCE, Moments, Wanted, gather_by_column, number, value_counts
from varjepa.data.fit.streamed_rows import one_set
from varjepa.data.read.column_profile import ColumnProfile

MOST_VALUES = 2**16
"""Columns of more different values than these are counted range by range, so that nobody holds all of them."""

_A = TypeVar("_A")


class PartitionedRows:
    """See `varjepa.data.fit.rows_protocol.TrainingRows`. Takes a handful of rounds, whatever the number of columns.

    Kinds, counts, vocabularies and samples are those of all rows in one place; means and deviations are, up to
    rounding.

    Args:
        partitions: of the training rows, in the order of the rows.
        parallel_map: calls functions with them.
    """

    def __init__(self, partitions: Sequence[OpenRows], parallel_map: ParallelMap = here) -> None:
        self._partitions = partitions
        self._parallel_map = parallel_map
        self.schema: Mapping[str, pl.DataType] = partitions[0]().collect_schema()
        self._heights: list[int] = []
        self._few: dict[str, dict[Any, int]] = {}

    @property
    def rows(self) -> int:
        """Number of rows, known with the profiles."""
        return sum(self._heights)

    def profiles(
        self,
        columns: Sequence[str],
        declared: Mapping[str, KIND],
        enough: Mapping[str, int],  # noqa: ARG002
    ) -> dict[str, ColumnProfile]:
        """From all rows, whatever is enough; in one round, and another for each column that may identify rows."""
        found = list(self._parallel_map(partial(facts, columns=list(columns)), self._partitions))
        self._heights = [height for height, _ in found]
        parts = {name: [of[name] for _, of in found] for name in columns}
        self._few = {name: ColumnFacts.merged(of).few or {} for name, of in parts.items()}
        return profiles_of(
            parts, self.schema, declared, rows=self.rows, partitions=self._partitions, parallel_map=self._parallel_map
        )

    def flag_sums(self, flags: Sequence[ColumnProfile]) -> dict[str, int]:
        """Known already."""
        return {of.name: self._few[of.name].get(1, 0) for of in flags}

    def one_set(self, runs: Sequence[Sequence[ColumnProfile]]) -> list[bool]:
        """In one round."""
        found = self._parallel_map(partial(all_set_once, runs=runs), self._partitions)
        return [all(holds) for holds in zip(*found, strict=True)]

    def moments(self, columns: Sequence[ColumnProfile]) -> list[Moments]:
        """In one round."""
        found = list(self._parallel_map(partial(sums, columns=columns), self._partitions)) if columns else []
        return [moments(parts) for parts in zip(*found, strict=True)]

    def sample(self, columns: Sequence[ColumnProfile], stride: int) -> pl.DataFrame:
        """In one round; rows are counted through all partitions, so it does not matter where these begin."""
        before = accumulate(self._heights[:-1], initial=0)
        placed = zip(self._partitions, before, strict=True)
        return pl.concat(self._parallel_map(partial(picked, columns=columns, stride=stride), placed))

    def frequent(self, wanted: Sequence[Wanted]) -> Iterator[list[str]]:
        """In one round, and another for each column of very many values."""
        columns = [one.facts for one in wanted]
        tallies = [Tally(MOST_VALUES, NOTHING) for _ in columns]
        parts = self._parallel_map(partial(tallied, columns=columns, limit=MOST_VALUES), self._partitions)
        for part in parts if columns else []:
            for tally, of in zip(tallies, part, strict=True):
                tally.add(of)
        for one, tally in zip(wanted, tallies, strict=True):
            yield one.frequent(self._by_ranges(one, tally) if tally.counts is None else tally.counts)

    def _by_ranges(self, wanted: Wanted, tally: Tally) -> pl.DataFrame:
        column = as_text(wanted.facts.name, wanted.facts.dtype)
        count = partial(counted, partitions=self._partitions, column=column, most=wanted.most)
        return pl.concat(self._parallel_map(count, ranges(tally.cuts, tally.distinct)))


NOTHING = pl.DataFrame(schema={"value": pl.String, "len": pl.get_index_type()})
"""Counts of no values."""


def facts(rows: OpenRows, columns: Sequence[str]) -> tuple[int, dict[str, ColumnFacts]]:
    """The number of rows of a partition, and facts of its columns."""
    frame = rows()
    schema = frame.collect_schema()
    found = {
        cells.name: ColumnFacts.of(cells)
        for some in _some(columns)
        for cells in frame.select(comparable(name, schema[name]) for name in some).collect()
    }
    return int(frame.select(pl.len()).collect().item()), found


def all_set_once(rows: OpenRows, runs: Sequence[Sequence[ColumnProfile]]) -> list[bool]:
    """For runs of 0/1 columns: whether every row of a partition has exactly one of them set."""
    return list(rows().select(one_set(runs)).collect().row(0))


def sums(rows: OpenRows, columns: Sequence[ColumnProfile]) -> list[Sums | None]:
    """Sums of the numeric columns of a partition.

    Raises:
        DataError: text stands in one of them.
    """

    def gather(some: Sequence[ColumnProfile]) -> list[Sums | None]:
        return [Sums.of(cells) for cells in rows().select(map(number, some)).collect()]

    return [of for some in _some(columns) for of in gather_by_column(gather, some)]


def picked(placed: tuple[OpenRows, int], columns: Sequence[ColumnProfile], stride: int) -> pl.DataFrame:
    """Numeric columns of every `stride`-th row, counted from as many rows before this partition as are said."""
    rows, before = placed
    return rows().select(map(number, columns)).gather_every(stride, offset=-before % stride).collect()


def tallied(rows: OpenRows, columns: Sequence[ColumnProfile], limit: int) -> list[Tally]:
    """Counts of the values of a partition's columns, as text."""
    texts = [as_text(of.name, of.dtype) for of in columns]
    return [Tally(limit, value_counts(rows(), text).collect()) for text in texts]


def _some(columns: Sequence[_A]) -> Iterator[Sequence[_A]]:
    return (columns[start : start + COLUMNS_AT_ONCE] for start in range(0, len(columns), COLUMNS_AT_ONCE))
