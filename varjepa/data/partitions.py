"""Statistics of training rows in partitions: gathered wherever somebody calls a function with each, merged exactly."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, Protocol, TypeVar

import polars as pl

from varjepa.config.data import KIND
from varjepa.data.inspect import ColumnProfile, column_profile
from varjepa.data.merging import FEW, Facts, Sums, Tally, comparable, moments
from varjepa.data.preprocess import as_text
from varjepa.data.streamed import one_set
from varjepa.data.training_rows import (
    COLUMNS_AT_ONCE,
    Moments,
    Wanted,
    number,
    ordered_counts,
    told_apart,
    value_counts,
)

MOST_VALUES = 2**16
"""Columns of more different values than these are counted range by range, so that nobody holds all of them."""

RANGE_VALUES = 2**21
"""About so many different values at most are in a range."""

OpenRows = Callable[[], pl.LazyFrame]
"""Opens the training rows of a partition; can be pickled where they are opened in another process."""

_A = TypeVar("_A")
_R = TypeVar("_R")


class Everywhere(Protocol):
    """Calls a function with each of some things, here or elsewhere; gives the results in their order."""

    def __call__(self, function: Callable[[_A], _R], things: Iterable[_A]) -> Iterator[_R]: ...


def here(function: Callable[[_A], _R], things: Iterable[_A]) -> Iterator[_R]:
    """Calls the function in this thread, with one thing after the other."""
    return map(function, things)


class PartitionedRows:
    """See `varjepa.data.training_rows.TrainingRows`. Takes a handful of rounds, whatever the number of columns.

    Kinds, counts, vocabularies and samples are those of all rows in one place; means and deviations are, up to
    rounding.

    Args:
        partitions: of the training rows, in the order of the rows.
        everywhere: calls functions with them.
    """

    def __init__(self, partitions: Sequence[OpenRows], everywhere: Everywhere = here) -> None:
        self._partitions = partitions
        self._everywhere = everywhere
        self.schema: Mapping[str, pl.DataType] = partitions[0]().collect_schema()
        self._heights: list[int] = []
        self._facts: dict[str, Facts] = {}

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
        found = list(self._everywhere(partial(facts, columns=list(columns)), self._partitions))
        self._heights = [height for height, _ in found]
        profiles = {}
        for name in columns:
            parts = [of[name] for _, of in found]
            known = self._facts[name] = Facts.merged(parts)
            # Whether all values differ is looked at only where the kind hangs on it.
            least, most = (self._profile(name, distinct, declared.get(name)) for distinct in _distinct(known))
            differ = least.kind != most.kind and (_apart(parts) or self._all_differ(name))
            profiles[name] = most if differ else least
        return profiles

    def _profile(self, name: str, distinct: int, declared: KIND | None) -> ColumnProfile:
        known, dtype = self._facts[name], self.schema[name]
        ordered = dtype.is_numeric() or dtype.is_temporal()
        told = {
            "missing": self.rows - known.present, "distinct": distinct, "whole": known.whole and dtype.is_float(),
            "min": known.smallest if ordered else None, "max": known.largest if ordered else None,
            "numbers": known.numbers, "words": known.word,
        }  # fmt: skip
        return column_profile(name, dtype, self.rows, told, declared)

    def _all_differ(self, name: str) -> bool:
        known = self._facts[name]
        column = comparable(name, self.schema[name])
        ranges = _ranges(known.cuts, known.present)
        counts = self._everywhere(partial(counted, partitions=self._partitions, column=column, most=1), ranges)
        return all(largest["len"].max() in (None, 1) for largest in counts)

    def flag_sums(self, flags: Sequence[ColumnProfile]) -> dict[str, int]:
        """Known already."""
        return {of.name: (self._facts[of.name].few or {}).get(1, 0) for of in flags}

    def one_set(self, runs: Sequence[Sequence[ColumnProfile]]) -> list[bool]:
        """In one round."""
        found = self._everywhere(partial(all_set_once, runs=runs), self._partitions)
        return [all(holds) for holds in zip(*found, strict=True)]

    def moments(self, columns: Sequence[ColumnProfile]) -> list[Moments]:
        """In one round."""
        found = list(self._everywhere(partial(sums, columns=columns), self._partitions)) if columns else []
        return [moments(parts) for parts in zip(*found, strict=True)]

    def sample(self, columns: Sequence[ColumnProfile], stride: int) -> pl.DataFrame:
        """In one round; rows are counted through all partitions, so it does not matter where these begin."""
        before = accumulate(self._heights[:-1], initial=0)
        placed = zip(self._partitions, before, strict=True)
        return pl.concat(self._everywhere(partial(picked, columns=columns, stride=stride), placed))

    def frequent(self, wanted: Sequence[Wanted]) -> Iterator[list[str]]:
        """In one round, and another for each column of very many values."""
        columns = [one.facts for one in wanted]
        tallies = [Tally(MOST_VALUES, NOTHING) for _ in columns]
        parts = self._everywhere(partial(tallied, columns=columns, limit=MOST_VALUES), self._partitions)
        for part in parts if columns else []:
            for tally, of in zip(tallies, part, strict=True):
                tally.add(of)
        for one, tally in zip(wanted, tallies, strict=True):
            yield one.frequent(self._by_ranges(one, tally) if tally.counts is None else tally.counts)

    def _by_ranges(self, wanted: Wanted, tally: Tally) -> pl.DataFrame:
        column = as_text(wanted.facts.name, wanted.facts.dtype)
        ranges = _ranges(tally.cuts, tally.distinct)
        count = partial(counted, partitions=self._partitions, column=column, most=wanted.most)
        return pl.concat(self._everywhere(count, ranges))


NOTHING = pl.DataFrame(schema={"value": pl.String, "len": pl.get_index_type()})
"""Counts of no values."""


def facts(rows: OpenRows, columns: Sequence[str]) -> tuple[int, dict[str, Facts]]:
    """The number of rows of a partition, and facts of its columns."""
    frame = rows()
    schema = frame.collect_schema()
    found = {
        cells.name: Facts.of(cells)
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

    return [of for some in _some(columns) for of in told_apart(gather, some)]


def picked(placed: tuple[OpenRows, int], columns: Sequence[ColumnProfile], stride: int) -> pl.DataFrame:
    """Numeric columns of every `stride`-th row, counted from as many rows before this partition as are said."""
    rows, before = placed
    return rows().select(map(number, columns)).gather_every(stride, offset=-before % stride).collect()


def tallied(rows: OpenRows, columns: Sequence[ColumnProfile], limit: int) -> list[Tally]:
    """Counts of the values of a partition's columns, as text."""
    texts = [as_text(of.name, of.dtype) for of in columns]
    return [Tally(limit, value_counts(rows(), text).collect()) for text in texts]


def counted(
    ends: tuple[Any, Any], partitions: Sequence[OpenRows], column: pl.Expr, most: int | None
) -> pl.DataFrame:  # fmt: skip
    """The largest counts of values in all partitions, from the first end on and before the second; None is no end."""
    low, high = ends
    value = pl.col("value")
    above = pl.lit(value=True) if low is None else value >= low
    below = pl.lit(value=True) if high is None else value < high
    frame = pl.concat([rows().select(column.alias("value")) for rows in partitions]).filter(above, below)
    return ordered_counts(value_counts(frame, value).collect(engine="streaming"), most)


def _some(columns: Sequence[_A]) -> Iterator[Sequence[_A]]:
    return (columns[start : start + COLUMNS_AT_ONCE] for start in range(0, len(columns), COLUMNS_AT_ONCE))


def _distinct(known: Facts) -> tuple[int, int]:
    """How many different values there are at least and at most, as far as kinds depend on it."""
    if known.few is not None:
        return len(known.few), len(known.few)
    return FEW + 1, FEW + 1 if known.repeated else known.present


def _apart(parts: Iterable[Facts]) -> bool:
    """Whether the values of each partition lie beyond those of the others, as numbers of sorted rows do."""
    ends = sorted((part.smallest, part.largest) for part in parts if part.present)
    return all(one[1] < other[0] for one, other in pairwise(ends))


def _ranges(values: Sequence[Any], distinct: int) -> list[tuple[Any, Any]]:
    """Ranges that hold about `RANGE_VALUES` of so many different values each, of which some are given."""
    count = -(-distinct // RANGE_VALUES)
    ordered = sorted(values)
    cuts = sorted({ordered[len(ordered) * place // count] for place in range(1, count)})
    return list(zip([None, *cuts], [*cuts, None], strict=True))
