"""Figures of studies: the simulation study, the benchmark, costs."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from varjepa.plots.style import COLORS, MANY_COLORS, Floats, panels

Line = tuple[Sequence[float] | Floats, Sequence[float] | Floats]
"""Places and values."""


def study_curves(
    curves: Mapping[str, Mapping[str, Sequence[float]]], latent: str, floors: Mapping[str, float], epochs: int
) -> Figure:
    """Diagnostics of one latent over epochs, one line per variant, sampling floors dotted (Figure 2).

    Args:
        curves: variant -> metric such as `s_x/kl_agg` -> values; fewer values than epochs end at the last epoch.
        latent: s_x or s_y.
        floors: diagnostic -> value under noise; draws one panel each.
        epochs: length of the axis.
    """
    with panels(2, 4, size=(3.2, 2.6)) as (figure, axes):
        for axis, name in zip(axes, ("probe_accuracy", *floors), strict=True):
            for (variant, metrics), color in zip(curves.items(), MANY_COLORS, strict=False):
                values = metrics[f"{latent}/{name}"]
                ends = np.linspace(0, epochs, len(values) + 1)[1:]
                axis.plot(ends, values, color=color, label=variant, linewidth=1.2)
            if name in floors:
                axis.axhline(floors[name], color="#888888", linestyle=":")
            if name in ("kl_agg", "sigreg_mse", "cov_frobenius", "mean_norm"):
                axis.set_yscale("log")
            axis.set(title=f"{latent}: {name}", xlabel="epoch")
        axes[0].legend(ncols=2)
    return figure


def collapse_plot(curves: Mapping[str, Sequence[float]], title: str) -> Figure:
    """One line per model over epochs, on a logarithmic axis.

    Args:
        curves: name of a model -> values per epoch.
        title: what the values are.
    """
    with panels(1, 1, size=(5.4, 3.8)) as (figure, (axis,)):
        for name, values in curves.items():
            axis.plot(np.arange(1, len(values) + 1), values, label=name)
        axis.set(title=title, xlabel="epoch", yscale="log")
        axis.legend()
    return figure


def benchmark_plot(bars: Mapping[str, Mapping[str, tuple[float, float | None]]], titles: Mapping[str, str]) -> Figure:
    """One group of dots per predictor, one colour per feature set; hollow rings are published figures.

    Args:
        bars: feature set -> predictor -> (ours, published or None).
        titles: words for feature sets and predictors.
    """
    predictors = list(dict.fromkeys(predictor for cells in bars.values() for predictor in cells))
    with panels(1, 1, size=(1.4 * len(predictors) + 2, 3.2)) as (figure, (axis,)):
        for number, (features, cells) in enumerate(bars.items()):
            shift = 0.18 * (number - (len(bars) - 1) / 2)
            places = [predictors.index(predictor) + shift for predictor in cells]
            ours, published = zip(*cells.values(), strict=True)
            axis.plot(places, ours, "o", color=COLORS[number], label=titles[features])
            rings = [(place, value) for place, value in zip(places, published, strict=True) if value is not None]
            if rings:
                axis.plot(*zip(*rings, strict=True), "o", mfc="none", color=COLORS[number])
        axis.set_xticks(range(len(predictors)), [titles[predictor] for predictor in predictors])
        axis.set_title("Test rows, mean over seeds (rings: published)")
        axis.legend(ncols=len(bars))
    return figure


def label_curves_plot(curves: Mapping[str, Mapping[str, Sequence[tuple[int, float, float, float]]]]) -> Figure:
    """One panel per data set: accuracy or R2 over the number of labelled rows, with intervals.

    Args:
        curves: data set -> method -> (labelled rows, mean, low, high), by number of rows.
    """
    with panels(1, max(1, len(curves)), size=(4.2, 3.2)) as (figure, axes):
        for axis, (dataset, methods) in zip(axes, curves.items(), strict=False):
            for number, (method, line) in enumerate(methods.items()):
                labels, means, lows, highs = (np.array(column, dtype=np.float64) for column in zip(*line, strict=True))
                # Moved sideways a little, so that intervals do not hide each other.
                places = labels * 1.04 ** (number - (len(methods) - 1) / 2)
                errors = np.clip([means - lows, highs - means], 0, None)  # [2, L]
                axis.errorbar(places, means, errors, fmt="o-", markersize=3.5, linewidth=1.2, label=method)
            ticks = sorted({point[0] for line in methods.values() for point in line})
            axis.set(title=dataset, xlabel="labelled rows", xscale="log", ylabel="accuracy or R2 on test rows")
            axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks], minor=False)
            axis.minorticks_off()
        axes[0].legend()
    return figure


def cost_plot(points: Mapping[str, Line], lines: Mapping[str, Line], labels: tuple[str, str], title: str) -> Figure:
    """Measured costs as dots and expected ones as lines, on logarithmic axes.

    Args:
        points: name -> what was measured.
        lines: name -> what was expected or fitted.
        labels: of the two axes.
        title: of the figure.
    """
    with panels(1, 1, size=(5.4, 3.8)) as (figure, (axis,)):
        for name, (places, values) in points.items():
            axis.plot(places, values, "o", label=name)
        for (name, (places, values)), style in zip(lines.items(), ("-", "--", ":"), strict=False):
            axis.plot(places, values, style, color="#888888", linewidth=1.2, label=name)
        axis.set(title=title, xlabel=labels[0], ylabel=labels[1], xscale="log", yscale="log")
        axis.legend()
    return figure


def quality_plot(
    groups: Mapping[str, Sequence[tuple[str, float, Sequence[float]]]],
    controls: Mapping[str, Sequence[float]],
    titles: Sequence[str],
    cost: str,
) -> Figure:
    """Qualities over cost, one panel per quality; every point has its name beside it.

    Args:
        groups: name -> points of one look, each (name, cost, qualities).
        controls: name -> qualities of what costs nothing, drawn as lines.
        titles: of the panels, in the order of the qualities.
        cost: label of the axis of costs, which is logarithmic.
    """
    with panels(1, len(titles), size=(4.4, 3.4)) as (figure, axes):
        for number, (axis, title) in enumerate(zip(axes, titles, strict=True)):
            for (group, points), marker in zip(groups.items(), "osD^", strict=False):
                places, values = [point[1] for point in points], [point[2][number] for point in points]
                axis.plot(places, values, marker, label=group, markersize=4)
                for name, place, qualities in points:
                    axis.annotate(
                        name, (place, qualities[number]), (4, 3), textcoords="offset points", fontsize=6.5,
                        color="#444444",
                    )  # fmt: skip
            for (name, qualities), style in zip(controls.items(), ("--", ":"), strict=False):
                axis.axhline(qualities[number], color="#888888", linestyle=style, linewidth=1, label=name)
            axis.set(title=title, xlabel=cost, xscale="log")
            axis.margins(x=0.15, y=0.1)
            low, high = axis.get_xlim()
            ticks = [digit * 10.0**power for power in range(-3, 9) for digit in (1, 2, 5)]
            shown = [tick for tick in ticks if low <= tick <= high]
            axis.set_xticks(shown, [f"{tick:,g}" for tick in shown])
            axis.minorticks_off()
        axes[0].legend()
    return figure
