"""Figures of reasons: what moved one row, and what moves the rows of a table."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from varjepa.amounts import amount
from varjepa.plots.style import COLORS, Floats, panels
from varjepa.visible import visible

SHOWN = 12
"""Columns in a figure, those of the largest contributions; the others are one bar."""

FAR = 3.0
"""Times the largest bar from which the sum of the others is a number in words: beside a bar of hundreds of columns the
others would be invisible."""

MOST_TICKS = 5
"""Steps between the numbers of an axis: more of them run into each other where a label has six digits."""


def row_reasons(columns: Sequence[str], parts: Mapping[str, tuple[float, Floats]], title: str) -> Figure:
    """Contributions of columns for one row, one panel per number that they add up to.

    Args:
        columns: names [P].
        parts: what they contribute to -> its value without any column, and the contributions [P].
        title: of the row.
    """
    with panels(1, len(parts), size=(4.4, 3.6)) as (figure, axes):
        for axis, (what, (base, values)) in zip(axes, parts.items(), strict=True):
            names, shown, rest = _largest(columns, values)
            if rest:
                axis.set_xlabel(f"{rest.columns:,} other columns before these: {amount(rest.sum, 2)}")
            start = base + (rest.sum if rest else 0.0)
            ends = start + np.cumsum(shown)
            colors = [COLORS[0] if value >= 0 else COLORS[1] for value in shown]
            axis.barh(range(len(shown)), shown, left=ends - shown, color=colors)
            axis.axvline(start, color="#888888", linestyle=":")
            axis.axvline(ends[-1] if len(ends) else start, color="#444444")
            # Bars end an axis where they end, on top of the two lines.
            axis.use_sticky_edges = False
            axis.margins(x=0.05)
            _label(axis, names, f"{what}: from {amount(base, 3)} to {amount(base + float(np.sum(values)), 3)}")
        figure.suptitle(title, fontsize=10)
    return figure


def table_reasons(columns: Sequence[str], sizes: Mapping[str, Floats], rows: int) -> Figure:
    """Mean size of the contributions of columns over rows, one panel per number.

    Args:
        columns: names [P].
        sizes: what they contribute to -> mean size [P].
        rows: how many rows were looked at.
    """
    with panels(1, len(sizes), size=(4.4, 3.6)) as (figure, axes):
        for axis, (what, values) in zip(axes, sizes.items(), strict=True):
            names, shown, rest = _largest(columns, values)
            if rest:
                axis.set_xlabel(f"{rest.columns:,} other columns together: {amount(rest.sum, 2)}")
            axis.barh(range(len(shown)), shown, color=COLORS[0])
            _label(axis, names, f"{what}: mean size over {rows} rows")
    return figure


class _Rest(NamedTuple):
    """Columns whose contributions are too small to draw, and whose sum is too large to draw beside the others."""

    columns: int
    sum: float


def _largest(columns: Sequence[str], values: Floats) -> tuple[list[str], Floats, _Rest | None]:
    """The columns of the largest contributions and the sum of the others, by itself where it is far larger."""
    order = np.argsort(-np.abs(values), kind="stable")
    names, shown, others = [columns[j] for j in order[:SHOWN]], values[order[:SHOWN]], values[order[SHOWN:]]
    if not len(others):
        return names, shown, None
    if abs(others.sum()) > FAR * np.abs(shown).max():
        return names, shown, _Rest(len(others), float(others.sum()))
    return [*names, f"{len(others)} others"], np.append(shown, others.sum()), None


def _label(axis: Axes, names: Sequence[str], title: str) -> None:
    # A long name would leave no room for the bars.
    short = [(name if len(name) <= 22 else f"{name[:21]}…") for name in names]
    axis.set_yticks(range(len(names)), [visible(name) for name in short])
    axis.invert_yaxis()
    axis.xaxis.set_major_locator(MaxNLocator(MOST_TICKS))
    axis.set_title(title)
