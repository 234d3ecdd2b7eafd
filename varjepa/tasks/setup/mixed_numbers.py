"""Columns whose cells are numbers in two spellings, such as 1.234,5 and 1,234.5 of two offices: they count as words."""

from collections.abc import Iterable

import polars as pl

from varjepa.data.cells import NUMBER_SHARE
from varjepa.data.read.column_profile import ColumnProfile
from varjepa.data.spelling.numbers import NumberStyle, read_numbers
from varjepa.tasks.setup.alike_values import first_cells

STYLES = (NumberStyle(".", ","), NumberStyle(",", "."))


def mixed_numbers(frame: pl.LazyFrame, profiles: Iterable[ColumnProfile]) -> dict[str, str]:
    """Columns of text whose cells are numbers in one of two spellings -> what to say about them.

    Args:
        frame: the rows.
        profiles: of its columns.

    Examples:
        >>> from varjepa.data.read.column_profile import profile
        >>> rows = pl.DataFrame({"price": ["5.222,71", "8,663.57", "1,5", "0.25"] * 9}).lazy()
        >>> mixed_numbers(rows, profile(rows).values())  # doctest: +ELLIPSIS
        {'price': 'its cells are numbers in two spellings, such as "5.222,71" and "8,663.57", ...'}
    """
    kinds = ("categorical", "text", "identifier")
    names = [facts.name for facts in profiles if facts.kind in kinds and facts.dtype == pl.String]
    seen = first_cells(frame, names)
    found = {name: _examples(seen[name].alias("cells").drop_nulls()) for name in names}
    return {name: _words(*examples) for name, examples in found.items() if examples}


def _examples(cells: pl.Series) -> tuple[str, str] | None:
    """A number of either spelling that the other does not read; None where few cells are numbers, or one reads all."""
    point, comma = (read_numbers(cells, style).is_not_null() for style in STYLES)
    only_point, only_comma = cells.filter(point & ~comma), cells.filter(comma & ~point)
    if only_point.is_empty() or only_comma.is_empty() or int((point | comma).sum()) <= NUMBER_SHARE * len(cells):
        return None
    return only_comma[0].strip(), only_point[0].strip()


def _words(comma: str, point: str) -> str:
    return (
        f'its cells are numbers in two spellings, such as "{comma}" and "{point}", and count as words; write them '
        "alike in the table"
    )
