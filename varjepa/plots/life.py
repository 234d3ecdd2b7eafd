"""The figure of a model's life: quality of its versions, drift, and accuracy on new rows over time."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from varjepa.plots.style import COLORS, panels

MARGIN = 0.05
"""Share of the time, at least of an hour, left free on both sides."""


class Point(NamedTuple):
    """A figure at a time.

    Attributes:
        time: of the run.
        value: itself.
        low: end of its interval; as `value` where there is none.
        high: the other end.
        name: beside the point; may be empty.
        marked: shown in another colour: a champion, an alarm.
    """

    time: datetime
    value: float
    low: float
    high: float
    name: str = ""
    marked: bool = False


def life_plot(
    quality: Sequence[Point], drift: Sequence[Point], estimated: Sequence[Point], true: Sequence[Point], *,
    measure: str, checked: str,
) -> Figure:  # fmt: skip
    """Three panels over the same time.

    Args:
        quality: of each version on test rows; champions are marked.
        drift: score of each comparison, a share of rows; alarms are marked.
        estimated: accuracy on new rows as estimated without labels.
        true: accuracy or R2 on new rows once their labels were known.
        measure: name of the quality.
        checked: name of the measure on new rows.
    """
    with panels(3, 1, size=(7.2, 2.1)) as (figure, axes):
        _points(axes[0], quality, "version", "champion at some time")
        axes[0].set(title="Versions, on test rows", ylabel=measure)
        _points(axes[1], drift, "comparison", "alarm")
        axes[1].set(title="Drift of new rows", ylabel="share of rows")
        axes[1].set_ylim(bottom=-0.05 * axes[1].get_ylim()[1])  # a point at 0 is seen as a whole
        _bars(axes[2], estimated, COLORS[4], "estimated without labels (90%)")
        _bars(axes[2], true, COLORS[2], "measured with labels")
        axes[2].set(title=f"{checked[:1].upper()}{checked[1:]} on new rows", ylabel=checked)
        everything = [point.time for points in (quality, drift, estimated, true) for point in points]
        for axis in axes:
            if everything:
                locator = AutoDateLocator(minticks=3, maxticks=7)
                axis.xaxis.set_major_locator(locator)
                axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
                first, last = (float(date2num(time)) for time in (min(everything), max(everything)))
                margin = max(last - first, 1 / 24) * MARGIN
                axis.set_xlim(first - margin, last + margin)
            if axis.get_legend_handles_labels()[0]:
                axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)
            else:
                axis.text(0.5, 0.5, "nothing recorded yet", ha="center", transform=axis.transAxes, color="#888888")
    return figure


def _points(axis: Axes, points: Sequence[Point], plain: str, marked: str) -> None:
    for which, color, words in ((False, COLORS[4], plain), (True, COLORS[1], marked)):
        _bars(axis, [point for point in points if point.marked == which], color, words)
    for point in points:
        if point.name:
            axis.annotate(
                point.name, (float(date2num(point.time)), point.value), (4, 4), textcoords="offset points", fontsize=8
            )


def _bars(axis: Axes, points: Sequence[Point], color: str, words: str) -> None:
    if not points:
        return
    values = [point.value for point in points]
    # The interval of a resampled figure need not hold it, and Matplotlib draws no arm of negative length.
    below, above = [point.value - point.low for point in points], [point.high - point.value for point in points]
    times = [float(date2num(point.time)) for point in points]
    axis.errorbar(times, values, np.clip([below, above], 0, None), fmt="o", color=color, capsize=2, label=words)
