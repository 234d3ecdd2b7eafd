"""Figures of drift: what changed, and reference rows beside new ones."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator
from matplotlib.figure import Figure

from varjepa.evaluation.drift.samples import Categories, Numbers, Sample
from varjepa.plots.style import COLORS, named, panels
from varjepa.visible import visible

N_BARS = 24
"""Bars of a histogram of reference and new rows, and the most categories shown beside each other."""


def drift_effects(effects: Mapping[str, tuple[float, str]]) -> Figure:
    """How much changed in what, largest on top.

    Args:
        effects: what -> (share of the rows, verdict: none, trifle or drift).
    """
    colors = {"none": "#bbbbbb", "trifle": COLORS[5], "drift": COLORS[1]}
    names = sorted(effects, key=lambda name: effects[name][0])
    with panels(1, 1, size=(6.4, 0.24 * len(names) + 1.0)) as (figure, (axis,)):
        for verdict, color in colors.items():
            places = [place for place, name in enumerate(names) if effects[name][1] == verdict]
            if places:
                axis.barh(places, [100 * effects[names[place]][0] for place in places], color=color, label=verdict)
        axis.set_yticks(range(len(names)), [named(name) for name in names])
        axis.set(title="Change", xlabel="points: share of rows that would have to be others", ylim=(-0.6, len(names)))
        if names:
            axis.legend(loc="lower right")
    return figure


def reference_and_new(samples: Mapping[str, tuple[Sample, Sample]]) -> Figure:
    """One panel per name: reference rows and new ones, as shares of each.

    Args:
        samples: what -> (reference, new), of one kind each.
    """
    columns = min(3, len(samples))
    with panels(-(-len(samples) // columns), columns) as (figure, axes):
        for axis, (name, (reference, new)) in zip(axes, samples.items(), strict=False):
            if isinstance(reference, Numbers) and isinstance(new, Numbers):
                _histograms(axis, reference, new)
            elif isinstance(reference, Categories) and isinstance(new, Categories):
                _mixes(axis, reference, new)
            axis.set_title(named(name))
        for axis in axes[len(samples) :]:
            axis.set_axis_off()
        axes[0].legend()
    return figure


def _histograms(axis: Axes, reference: Numbers, new: Numbers) -> None:
    """Bars over the bulk of the reference; rows beyond it are in the outer ones."""
    knots, upto = np.array(reference.knots), np.cumsum(reference.counts)[1::2] / reference.present
    low, high = (knots[min(int(np.searchsorted(upto, share)), len(knots) - 1)] for share in (0.01, 0.98))
    edges = np.linspace(low, high if high > low else low + 1, N_BARS + 1)
    for label, sample, color in (("reference", reference, COLORS[0]), ("new", new, COLORS[1])):
        shares = 100 * np.diff(np.r_[0.0, sample.below(edges[1:-1]), 1.0])
        axis.stairs(shares, edges, fill=label == "reference", alpha=0.5 if label == "reference" else 1.0,
                    color=color, label=label, linewidth=1.6)  # fmt: skip
    axis.set(ylabel="% of rows", xlabel="outer bars: all beyond")
    if reference.days:  # Matplotlib counts days since 1970, too
        axis.xaxis_date()
        axis.xaxis.set_major_locator(AutoDateLocator(maxticks=4))


def _mixes(axis: Axes, reference: Categories, new: Categories) -> None:
    """Categories whose share changed most, in the order of the reference."""
    shares = [100 * np.array(sample.cells) / max(sample.present, 1) for sample in (reference, new)]
    names = [*reference.names, "(other)"]  # as in `cells`
    shown = np.sort(np.argsort(-np.abs(shares[1] - shares[0]), kind="stable")[: N_BARS // 3])
    for label, values, shift, color in zip(("reference", "new"), shares, (0.2, -0.2), COLORS, strict=False):
        axis.barh(np.arange(len(shown)) + shift, values[shown], 0.4, color=color, label=label)
    axis.set_yticks(range(len(shown)), [visible(names[place])[:18] for place in shown])
    axis.set_xlabel("% of rows")
