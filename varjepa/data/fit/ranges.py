"""Rows in pieces that somebody opens; values of a column counted range by range, so that nobody holds all of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import polars as pl

from varjepa.config.data import KIND
from varjepa.data.fit.merging import FEW, ColumnFacts, comparable
from varjepa.data.fit.rows_protocol import ordered_counts, value_counts
from varjepa.data.read.column_profile import ColumnProfile, column_profile

RANGE_VALUES = 2**21
"""About so many different values at most are in a range."""

OpenRows = Callable[[], pl.LazyFrame]
"""Opens the training rows of a partition; can be pickled where they are opened in another process."""

_A = TypeVar("_A")
_R = TypeVar("_R")


class ParallelMap(Protocol):
    """Calls a function with each of some things, here or elsewhere; gives the results in their order."""

    def __call__(self, function: Callable[[_A], _R], things: Iterable[_A]) -> Iterator[_R]: ...


def here(function: Callable[[_A], _R], things: Iterable[_A]) -> Iterator[_R]:
    """Calls the function in this thread, with one thing after the other."""
    return map(function, things)


def profiles_of(
    parts: Mapping[str, Sequence[ColumnFacts]],
    schema: Mapping[str, pl.DataType],
    declared: Mapping[str, KIND],
    *,
    rows: int,
    partitions: Sequence[OpenRows],
    parallel_map: ParallelMap = here,
) -> dict[str, ColumnProfile]:
    """Profiles of columns from the facts of their parts.

    Whether all values of a column differ takes a look at the rows, range by range, where the kind hangs on it and the
    parts do not tell. Of more than `FEW` values that do not all differ, their number is given as `FEW` + 1.

    Args:
        parts: facts by column, in the order of the rows.
        schema: types of the columns.
        declared: kinds that a person gave.
        rows: how many there are.
        partitions: open the rows.
        parallel_map: calls functions with ranges.
    """
    profiles = {}
    for name, found in parts.items():
        known, dtype = ColumnFacts.merged(found), schema[name]
        ordered = dtype.is_numeric() or dtype.is_temporal()
        told = {
            "missing": rows - known.present, "whole": known.whole and dtype.is_float(),
            "min": known.smallest if ordered else None, "max": known.largest if ordered else None,
            "numbers": known.numbers, "words": known.word,
        }  # fmt: skip
        least, most = (
            column_profile(name, dtype, rows, told | {"distinct": distinct}, declared.get(name))
            for distinct in _distinct(known)
        )
        if least.kind != most.kind and not _apart(found):
            count = partial(counted, partitions=partitions, column=comparable(name, dtype), most=1)
            largest = parallel_map(count, ranges(known.cuts, known.present))
            differ = all(counts["len"].max() in (None, 1) for counts in largest)
        else:
            differ = least.kind != most.kind
        profiles[name] = most if differ else least
    return profiles


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


def ranges(values: Sequence[Any], distinct: int) -> list[tuple[Any, Any]]:
    """Ranges that hold about `RANGE_VALUES` of so many different values each, of which some are given."""
    count = -(-distinct // RANGE_VALUES)
    ordered = sorted(values)
    cuts = sorted({ordered[len(ordered) * place // count] for place in range(1, count)})
    return list(zip([None, *cuts], [*cuts, None], strict=True))


def _distinct(known: ColumnFacts) -> tuple[int, int]:
    """How many different values there are at least and at most, as far as kinds depend on it."""
    if known.few is not None:
        return len(known.few), len(known.few)
    return FEW + 1, FEW + 1 if known.repeated else known.present


def _apart(parts: Iterable[ColumnFacts]) -> bool:
    """Whether the values of each part lie beyond those of the others, as numbers of sorted rows do."""
    ends = sorted((part.smallest, part.largest) for part in parts if part.present)
    return all(one[1] < other[0] for one, other in pairwise(ends))
