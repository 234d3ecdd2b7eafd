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
    """Columns of which every row has exactly one set.

    Attributes:
        columns: their names.
        counts: number of rows that have each of them set.
    """

    columns: tuple[str, ...]
    counts: tuple[int, ...]


def find_groups(rows: "TrainingRows", profiles: Sequence[ColumnProfile], apart: Collection[str] = ()) -> list[Group]:
    """Runs of neighbouring 0/1 columns of which every row has exactly one set.

    Takes two passes over the rows. The first computes sums of columns: if the sums of a run add up to the number of
    rows, the run is a candidate. The second checks the candidates row by row.

    Args:
        rows: the training rows.
        profiles: of their columns, in the order of the table.
        apart: columns that are not joined.

    Examples:
        >>> from varjepa.data.fit.streamed_rows import StreamedRows
        >>> table = {"red": [1, 0, 0, 1], "blue": [0, 1, 1, 0], "odd": [1, 0, 1, 0], "x": [3, 1, 4, 1]}
        >>> rows = StreamedRows(pl.LazyFrame(table))
        >>> find_groups(rows, list(rows.profiles(list(table), {}, {}).values()))
        [Group(columns=('red', 'blue'), counts=(2, 2))]
    """
    flags = {facts.name: facts for facts in profiles if _is_flag(facts) and facts.name not in apart}
    if not flags:
        return []
    sums = rows.flag_sums(list(flags.values()))
    names = [facts.name for facts in profiles]
    proposed = [names[start:end] for start, end in _runs([sums.get(name) for name in names], rows.rows)]
    if not proposed:
        return []
    exact = rows.one_set([[flags[name] for name in run] for run in proposed])
    taken: set[str] = set()
    groups = []
    for run, holds in zip(proposed, exact, strict=True):
        # Candidates may overlap: the first one keeps the columns.
        if holds and taken.isdisjoint(run):
            groups.append(Group(tuple(run), tuple(sums[name] for name in run)))
            taken.update(run)
    return groups


def group_name(columns: Sequence[str], taken: Collection[str]) -> str:
    """The common prefix of the names of columns; their first and last name if it is too short or already taken.

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
    """Candidates: (start, end) of at least two neighbours whose sums add up to the number of rows.

    Args:
        sums: per column, the number of rows that have it set; None if it is not a 0/1 column.
        rows: number of rows.
    """
    for start in range(len(sums)):
        total = 0
        for end, count in enumerate(sums[start:], start=start + 1):
            if count is None or total + count > rows:
                break
            total += count
            if total == rows and end - start > 1:
                yield start, end
                break
