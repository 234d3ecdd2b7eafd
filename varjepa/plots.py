"""Every figure, from plain arrays; no figure is ever shown, all are returned."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from varjepa.evaluation.calibration import Reliability, ks_uniform
from varjepa.evaluation.samples import Categories, Numbers, Sample
from varjepa.evaluation.selective import RiskCoverage, aurc

MANY_COLORS = tuple(mpl.color_sequences["tab10"])
COLORS = ("#3366aa", "#cc6633", "#449966", "#aa4477", "#888888", "#ccaa33", "#66bbcc")
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.prop_cycle": cycler(color=COLORS),
    "savefig.dpi": 120,
}
TERMS = {
    "elbo": "ELBO (higher is better)",
    "rec": "rec: -log p(x | s_x)",
    "gen": "gen: -log p(w | s_w)",
    "kl_sx": "kl_sx",
    "kl_z": "kl_z",
    "kl_sy": "kl_sy",
    "prediction": "squared error of the prediction",
    "rankme": "RankMe of the validation embedding",
}
"""Panels of the training curves, and their titles; a kind of model has some of them."""

Floats = NDArray[np.floating]


@contextmanager
def _panels(rows: int, columns: int, *, size: tuple[float, float] = (3.6, 2.7)) -> Iterator[tuple[Figure, list[Axes]]]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        yield figure, list(np.atleast_1d(figure.subplots(rows, columns)).ravel())


def training_curves(history: Sequence[Mapping[str, float]], best_epoch: int) -> Figure:
    """Every known term per epoch, training and validation, the selected epoch marked.

    Args:
        history: metrics per epoch with keys such as `train/elbo` and `validation/rec`.
        best_epoch: counted from 0.
    """
    parts = ("train", "validation")
    shown = [term for term in TERMS if any(f"{part}/{term}" in m for part in parts for m in history)]
    columns = min(3, len(shown))
    with _panels(-(-len(shown) // columns), columns) as (figure, axes):
        for axis, term in zip(axes, shown, strict=False):
            for part, color in zip(parts, COLORS, strict=False):
                points = [(m["epoch"] + 1, m[f"{part}/{term}"]) for m in history if f"{part}/{term}" in m]
                if points:
                    axis.plot(*zip(*points, strict=True), marker=".", label=part, color=color)
            axis.axvline(best_epoch + 1, color="#888888", linestyle=":", label="selected")
            axis.set(title=TERMS[term], xlabel="epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].legend()
    return figure


def risk_coverage_plot(curves: Mapping[str, RiskCoverage]) -> Figure:
    """Selective risk against coverage, one line per uncertainty measure, the area under each in the legend."""
    with _panels(1, 1, size=(5.4, 3.8)) as (figure, (axis,)):
        for style, (name, curve) in zip(("-", "-", "--", "-.", ":")[-len(curves) :], curves.items(), strict=True):
            # The first rows of a curve are a handful of errors divided by a handful of rows: noise that hides the rest.
            shown = curve.coverage >= 0.01
            axis.plot(curve.coverage[shown], curve.risk[shown], style, label=f"{name} (AURC {aurc(curve):.4f})")
        axis.set(title="Risk among the surest rows", xlabel="coverage", ylabel="error rate", xlim=(0, 1))
        axis.set_ylim(bottom=0)
        axis.legend()
    return figure


def reliability_diagram(bins: Reliability, ece: float) -> Figure:
    """Accuracy against confidence, with the number of rows per bin below."""
    with _panels(2, 1, size=(4.8, 2.4)) as (figure, (upper, lower)):
        upper.plot([0, 1], [0, 1], color="#888888", linestyle=":", label="calibrated")
        upper.plot(bins.confidence, bins.accuracy, marker="o", label=f"probe (ECE {ece:.4f})")
        upper.set(title="Reliability", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
        upper.legend()
        lower.bar(bins.confidence, bins.rows, width=0.04)
        lower.set(xlabel="confidence", ylabel="rows", xlim=(0, 1))
    return figure


def latent_pit(pits: Mapping[str, Floats]) -> Figure:
    """Histograms of the probability integral transform of target latents under the predictor; flat is calibrated.

    Args:
        pits: name -> values in [0, 1].
    """
    with _panels(1, 1, size=(4.8, 3.2)) as (figure, (axis,)):
        for (name, values), color in zip(pits.items(), COLORS, strict=False):
            label = f"{name} (KS {ks_uniform(values.astype(np.float64)):.3f})"
            axis.hist(values, bins=40, range=(0, 1), density=True, histtype="step", color=color, label=label)
        axis.axhline(1.0, color="#888888", linestyle=":")
        axis.set(title="PIT of s_y under the predictor", xlabel="PIT", ylabel="density", xlim=(0, 1))
        axis.legend()
    return figure


def measures_plot(differences: Mapping[Any, tuple[float, float, float]]) -> Figure:
    """AURC of every uncertainty measure minus that of maximum probability, with intervals; left of 0 is better.

    Args:
        differences: measure -> (difference, low, high).
    """
    names = sorted(differences, key=lambda name: -differences[name][0])
    with _panels(1, 1, size=(5.4, 0.26 * len(names) + 1.0)) as (figure, (axis,)):
        for place, name in enumerate(names):
            middle, low, high = differences[name]
            axis.plot([low, high], [place, place], color=COLORS[0])
            axis.plot([middle], [place], "o", color=COLORS[0], markersize=4)
        axis.axvline(0, color="#888888", linestyle=":")
        axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axis.set(title="AURC on test rows, minus that of max. probability", xlabel="difference (95% interval)")
    return figure


def embedding_map(points: Floats, uncertainty: Floats | None, labels: Floats | None, classes: Sequence[str]) -> Figure:
    """Two-dimensional map of rows, coloured by uncertainty and by label, where known.

    Args:
        points: [N, 2].
        uncertainty: [N], or None.
        labels: [N] class numbers or values, or None.
        classes: names of the classes; empty for values.
    """
    with _panels(1, max(1, (uncertainty is not None) + (labels is not None)), size=(5.0, 4.2)) as (figure, axes):
        if uncertainty is not None:
            _by_uncertainty(figure, axes[0], points, uncertainty)
        if labels is not None:
            _by_label(figure, axes[-1], points, labels, classes)
        if uncertainty is None and labels is None:
            axes[0].scatter(points[:, 0], points[:, 1], s=5)
        for axis in axes:
            axis.set(xlabel="component 1", ylabel="component 2")
    return figure


def _by_uncertainty(figure: Figure, axis: Axes, points: Floats, uncertainty: Floats) -> None:
    low, high = np.quantile(uncertainty, [0.02, 0.98]) if len(uncertainty) else (0.0, 1.0)
    dots = axis.scatter(points[:, 0], points[:, 1], c=uncertainty, s=5, cmap="viridis", vmin=low, vmax=high)
    figure.colorbar(dots, ax=axis)
    axis.set(title="Latent uncertainty")


def _by_label(figure: Figure, axis: Axes, points: Floats, labels: Floats, classes: Sequence[str]) -> None:
    axis.set(title="Label")
    if not classes:
        figure.colorbar(axis.scatter(points[:, 0], points[:, 1], c=labels, s=5, cmap="plasma"), ax=axis)
        return
    for number, name in enumerate(classes[: len(COLORS)]):
        x, y = points[labels == number].T
        axis.scatter(x, y, s=5, color=COLORS[number], label=name)
    axis.legend(markerscale=3)


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
    with _panels(2, 4, size=(3.2, 2.6)) as (figure, axes):
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
    with _panels(1, 1, size=(5.4, 3.8)) as (figure, (axis,)):
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
    with _panels(1, 1, size=(1.4 * len(predictors) + 2, 3.2)) as (figure, (axis,)):
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


def drift_effects(effects: Mapping[str, tuple[float, str]]) -> Figure:
    """How much changed in what, largest on top.

    Args:
        effects: what -> (share of the rows, verdict: none, trifle or drift).
    """
    colors = {"none": "#bbbbbb", "trifle": COLORS[5], "drift": COLORS[1]}
    names = sorted(effects, key=lambda name: effects[name][0])
    with _panels(1, 1, size=(6.4, 0.24 * len(names) + 1.0)) as (figure, (axis,)):
        for verdict, color in colors.items():
            places = [place for place, name in enumerate(names) if effects[name][1] == verdict]
            if places:
                axis.barh(places, [100 * effects[names[place]][0] for place in places], color=color, label=verdict)
        axis.set_yticks(range(len(names)), names)
        axis.set(title="Change", xlabel="points: share of rows that would have to be others", ylim=(-0.6, len(names)))
        axis.legend(loc="lower right")
    return figure


N_BARS = 24
"""Bars of a histogram of reference and new rows, and the most categories shown beside each other."""


def reference_and_new(samples: Mapping[str, tuple[Sample, Sample]]) -> Figure:
    """One panel per name: reference rows and new ones, as shares of each.

    Args:
        samples: what -> (reference, new), of one kind each.
    """
    columns = min(3, len(samples))
    with _panels(-(-len(samples) // columns), columns) as (figure, axes):
        for axis, (name, (reference, new)) in zip(axes, samples.items(), strict=False):
            if isinstance(reference, Numbers) and isinstance(new, Numbers):
                _histograms(axis, reference, new)
            elif isinstance(reference, Categories) and isinstance(new, Categories):
                _mixes(axis, reference, new)
            axis.set_title(name)
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
    axis.set_ylabel("% of rows")
    if reference.days:  # Matplotlib counts days since 1970, too
        axis.xaxis_date()
        axis.xaxis.set_major_locator(AutoDateLocator(maxticks=4))


def _mixes(axis: Axes, reference: Categories, new: Categories) -> None:
    """Categories whose share changed most, in the order of the reference."""
    shares = [100 * np.array(sample.cells) / max(sample.present, 1) for sample in (reference, new)]
    names = [*reference.names, *["(other)"] * (reference.other is not None)]
    shown = np.sort(np.argsort(-np.abs(shares[1] - shares[0]), kind="stable")[: N_BARS // 3])
    for label, values, shift, color in zip(("reference", "new"), shares, (0.2, -0.2), COLORS, strict=False):
        axis.barh(np.arange(len(shown)) + shift, values[shown], 0.4, color=color, label=label)
    axis.set_yticks(range(len(shown)), [names[place][:18] for place in shown])
    axis.set_xlabel("% of rows")


Line = tuple[Sequence[float] | Floats, Sequence[float] | Floats]
"""Places and values."""


def cost_plot(points: Mapping[str, Line], lines: Mapping[str, Line], labels: tuple[str, str], title: str) -> Figure:
    """Measured costs as dots and expected ones as lines, on logarithmic axes.

    Args:
        points: name -> what was measured.
        lines: name -> what was expected or fitted.
        labels: of the two axes.
        title: of the figure.
    """
    with _panels(1, 1, size=(5.4, 3.8)) as (figure, (axis,)):
        for name, (places, values) in points.items():
            axis.plot(places, values, "o", label=name)
        for (name, (places, values)), style in zip(lines.items(), ("-", "--", ":"), strict=False):
            axis.plot(places, values, style, color="#888888", linewidth=1.2, label=name)
        axis.set(title=title, xlabel=labels[0], ylabel=labels[1], xscale="log", yscale="log")
        axis.legend()
    return figure
