"""Profiles of columns from partitions; values of a column counted range by range, in bounded memory.

A column with very many distinct values cannot be counted at once. Its values are divided into ranges, and each range is
counted separately over all partitions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import polars as pl

from varjepa.config.data import KIND
from varjepa.data.fit.merging import FEW, ColumnFacts, comparable
from varjepa.data.fit.rows_protocol import ordered_counts, value_counts
from varjepa.data.read.column_profile import ColumnProfile, column_profile

RANGE_VALUES = 2**21
"""Approximate maximum of distinct values in a range."""

OpenRows = Callable[[], pl.LazyFrame]
"""Opens the training rows of a partition. Must be picklable if another process opens them."""

_A = TypeVar("_A")
_R = TypeVar("_R")


class ParallelMap(Protocol):
    """Calls a function with each item, in this process or in others; returns the results in the order of the items."""

    def __call__(self, function: Callable[[_A], _R], items: Iterable[_A]) -> Iterator[_R]: ...


def map_in_this_thread(function: Callable[[_A], _R], items: Iterable[_A]) -> Iterator[_R]:
    """Calls the function in this thread, with one item after the other."""
    return map(function, items)


def profiles_of(
    parts: Mapping[str, Sequence[ColumnFacts]],
    schema: Mapping[str, pl.DataType],
    declared: Mapping[str, KIND],
    *,
    rows: int,
    partitions: Sequence[OpenRows],
    parallel_map: ParallelMap = map_in_this_thread,
) -> dict[str, ColumnProfile]:
    """Profiles of columns from the facts of their partitions.

    A column can only be an identifier if its values hardly repeat, and text only if half of them are new. If the
    partitions do not answer that, and the kind depends on it, the values are counted range by range. With more
    than `FEW` distinct values in a column whose kind does not depend on their number, `distinct` of the profile is
    `FEW` + 1.

    Args:
        parts: facts per column, one per partition, in the order of the rows.
        schema: types of the columns.
        declared: kinds given by the user.
        rows: number of rows.
        partitions: open the rows.
        parallel_map: calls functions with ranges.
    """
    profiles = {}
    for name, column_parts in parts.items():
        merged, dtype = ColumnFacts.merged(column_parts), schema[name]
        ordered = dtype.is_numeric() or dtype.is_temporal()
        facts = {
            "missing": rows - merged.present, "whole": merged.whole and dtype.is_float(),
            "min": merged.smallest if ordered else None, "max": merged.largest if ordered else None,
            "numbers": merged.numbers, "words": merged.word, "sketch": merged.sketch,
        }  # fmt: skip
        # The kind is inferred twice: with the fewest and with the most distinct values that are possible.
        inferred = partial(_inferred, name=name, dtype=dtype, rows=rows, facts=facts, declared=declared.get(name))
        least, most = map(inferred, _distinct(merged))
        if least.kind != most.kind and not _apart(column_parts):
            count = partial(distinct_values, partitions=partitions, column=comparable(name, dtype))
            most = inferred(sum(parallel_map(count, ranges(merged.cuts, merged.present))))
        if least.kind != most.kind or least.distinct == most.distinct:
            profiles[name] = most  # counted, or the partitions do not overlap, so that the most is the number
        else:
            profiles[name] = replace(least, distinct=FEW + 1)
    return profiles


def _inferred(
    distinct: int, *, name: str, dtype: pl.DataType, rows: int, facts: Mapping[str, Any], declared: KIND | None
) -> ColumnProfile:
    """The profile of a column with this many distinct values."""
    return column_profile(name, dtype, rows, {**facts, "distinct": distinct}, declared)


def distinct_values(ends: tuple[Any, Any], partitions: Sequence[OpenRows], column: pl.Expr) -> int:
    """The number of distinct values of all partitions within a range; see `counted`."""
    values = _within(ends, partitions, column).drop_nulls().select(pl.col("value").n_unique())
    return int(values.collect(engine="streaming").item())


def counted(
    ends: tuple[Any, Any], partitions: Sequence[OpenRows], column: pl.Expr, most: int | None
) -> pl.DataFrame:  # fmt: skip
    """The largest counts of values of all partitions within a range.

    Args:
        ends: lower end, included, and upper end, excluded; None for no limit.
        partitions: open the rows.
        column: the values, without a name.
        most: number of counts; None means all.

    Returns:
        Columns `value` and `len`, largest counts first.
    """
    counts = value_counts(_within(ends, partitions, column), pl.col("value"))
    return ordered_counts(counts.collect(engine="streaming"), most)


def _within(ends: tuple[Any, Any], partitions: Sequence[OpenRows], column: pl.Expr) -> pl.LazyFrame:
    """The values of all partitions within a range, as `value`."""
    low, high = ends
    value = pl.col("value")
    above = pl.lit(value=True) if low is None else value >= low
    below = pl.lit(value=True) if high is None else value < high
    return pl.concat([rows().select(column.alias("value")) for rows in partitions]).filter(above, below)


def ranges(values: Sequence[Any], distinct: int) -> list[tuple[Any, Any]]:
    """Divides values into ranges of about `RANGE_VALUES` distinct values each.

    Args:
        values: a sample of the values.
        distinct: number of distinct values.

    Returns:
        (lower end, upper end) of each range; None for no limit.
    """
    count = -(-distinct // RANGE_VALUES)
    # Quantiles of the sample are the limits between the ranges.
    ordered = sorted(values)
    cuts = sorted({ordered[len(ordered) * place // count] for place in range(1, count)})
    return list(zip([None, *cuts], [*cuts, None], strict=True))


def _distinct(facts: ColumnFacts) -> tuple[int, int]:
    """Lower and upper bound of the number of distinct values, as far as the kind depends on it."""
    if facts.few is not None:
        return len(facts.few), len(facts.few)
    return max(FEW + 1, facts.least), max(FEW + 1, facts.present - facts.repeats)


def _apart(parts: Iterable[ColumnFacts]) -> bool:
    """Whether the ranges of values of the parts do not overlap, as in a sorted column."""
    ends = sorted((part.smallest, part.largest) for part in parts if part.present)
    return all(lower[1] < upper[0] for lower, upper in pairwise(ends))
