"""Finds neighbouring 0/1 columns of which every row has exactly one set."""

import re
from collections.abc import Collection, Iterator, Sequence
from os.path import commonprefix
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from varjepa.data.read.column_profile import ColumnProfile

if TYPE_CHECKING:
    from varjepa.data.fit.rows_protocol import TrainingRows


class Group(NamedTuple):
    """Columns of which every row has exactly one set, and how many rows have each of them set."""

    columns: tuple[str, ...]
    counts: tuple[int, ...]


def find_groups(rows: "TrainingRows", profiles: Sequence[ColumnProfile], apart: Collection[str] = ()) -> list[Group]:
    """Runs of neighbouring 0/1 columns of which every row has exactly one set.

    Two passes over the rows, whatever their number: sums of columns propose groups, sums of rows confirm them.

    Args:
        rows: the training rows.
        profiles: of their columns, in their order.
        apart: columns that belong to no group.

    Examples:
        >>> from varjepa.data.fit.streamed_rows import StreamedRows
        >>> table = {"red": [1, 0, 0, 1], "blue": [0, 1, 1, 0], "odd": [1, 0, 1, 0], "x": [3, 1, 4, 1]}
        >>> rows = StreamedRows(pl.LazyFrame(table))
        >>> find_groups(rows, list(rows.profiles(list(table), {}, {}).values()))
        [Group(columns=('red', 'blue'), counts=(2, 2))]
    """
    able = {facts.name: facts for facts in profiles if _is_flag(facts) and facts.name not in apart}
    if not able:
        return []
    sums = rows.flag_sums(list(able.values()))
    names = [facts.name for facts in profiles]
    proposed = [names[start:end] for start, end in _runs([sums.get(name) for name in names], rows.rows)]
    if not proposed:
        return []
    exact = rows.one_set([[able[name] for name in run] for run in proposed])
    taken: set[str] = set()
    groups = []
    for run, holds in zip(proposed, exact, strict=True):
        if holds and taken.isdisjoint(run):
            groups.append(Group(tuple(run), tuple(sums[name] for name in run)))
            taken.update(run)
    return groups


def group_name(columns: Sequence[str], taken: Collection[str]) -> str:
    """What the names of columns have in common, or its first and last where that says nothing or is a name already.

    Examples:
        >>> group_name(("Soil_Type1", "Soil_Type2"), [])
        'Soil_Type'
        >>> group_name(("red", "blue"), [])
        'red..blue'
    """
    common = re.sub(r"[\W_\d]+$", "", commonprefix(columns))  # noqa: RUF071 (names, not paths)
    return common if len(common) > 1 and common not in taken else f"{columns[0]}..{columns[-1]}"


def _is_flag(facts: ColumnProfile) -> bool:
    zero_one = facts.dtype == pl.Boolean or (facts.dtype.is_numeric() and (facts.smallest, facts.largest) == (0, 1))
    return facts.kind == "boolean" and zero_one and not facts.missing


def _runs(sums: Sequence[int | None], rows: int) -> Iterator[tuple[int, int]]:
    """(start, end) of at least two neighbours whose sums add up to the number of rows; None is no 0/1 column."""
    for start in range(len(sums)):
        total = 0
        for end, count in enumerate(sums[start:], start=start + 1):
            if count is None or total + count > rows:
                break
            total += count
            if total == rows and end - start > 1:
                yield start, end
                break
