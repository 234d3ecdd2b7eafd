"""Figures of one training run: curves, uncertainty, calibration, the embedding."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from varjepa.amounts import counted
from varjepa.evaluation.arrays import Bools
from varjepa.evaluation.latents.pit import PITDistances
from varjepa.evaluation.uncertainty.calibration import Reliability
from varjepa.evaluation.uncertainty.intervals import wilson
from varjepa.evaluation.uncertainty.selective import RiskCoverage, aurc
from varjepa.plots.style import COLORS, Floats, named, panels

TERMS = {
    "elbo": "ELBO (higher is better)",
    "rec": "rec: error of visible cells",
    "gen": "gen: error of all cells",
    "kl_sx": "kl_sx: kept of visible cells",
    "kl_z": "kl_z: kept by the other latent",
    "kl_sy": "kl_sy: error of hidden latents",
    "prediction": "squared error of the prediction",
    "rankme": "RankMe of the validation embedding",
}
"""Panels of the training curves with their titles. Each kind of model has some of them."""


def training_curves(history: Sequence[Mapping[str, float]], best_epoch: int) -> Figure:
    """Every term per epoch, for training and validation, with the selected epoch marked.

    Args:
        history: metrics per epoch with keys such as `train/elbo` and `validation/rec`.
        best_epoch: counted from 0.
    """
    parts = ("train", "validation")
    shown = [term for term in TERMS if any(f"{part}/{term}" in m for part in parts for m in history)]
    columns = min(3, len(shown))
    with panels(-(-len(shown) // columns), columns) as (figure, axes):
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


def risk_coverage_plot(curves: Mapping[str, RiskCoverage], risk: str = "error rate") -> Figure:
    """Selective risk against coverage, one line per uncertainty measure, the area under each in the legend.

    Args:
        curves: name -> curve.
        risk: what the curves are of, for the axis.
    """
    with panels(1, 1, size=(5.4, 3.8)) as (figure, (axis,)):
        for style, (name, curve) in zip(("-", "-", "--", "-.", ":")[-len(curves) :], curves.items(), strict=True):
            # Below 1% coverage the curve is a few errors divided by a few rows: noise that hides the rest.
            shown = curve.coverage >= 0.01
            axis.plot(curve.coverage[shown], curve.risk[shown], style, label=f"{name} (AURC {aurc(curve):.4f})")
        axis.set(title="Risk among the least uncertain rows", xlabel="coverage", ylabel=risk, xlim=(0, 1))
        axis.set_ylim(bottom=0)
        axis.legend()
    return figure


def reliability_diagram(bins: Reliability, ece: float) -> Figure:
    """Accuracy against confidence with 95% intervals, and the number of rows per bin below."""
    spans = [wilson(share, rows) for share, rows in zip(bins.accuracy, bins.rows, strict=True)]
    with panels(2, 1, size=(4.8, 2.4)) as (figure, (upper, lower)):
        upper.plot([0, 1], [0, 1], color="#888888", linestyle=":", label="calibrated")
        upper.plot(bins.confidence, bins.accuracy, marker="o", label=f"predictions (ECE {ece:.4f})")
        upper.vlines(bins.confidence, [span.low for span in spans], [span.high for span in spans], color=COLORS[0])
        upper.set(title="Reliability", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.03))
        upper.legend()
        lower.bar(bins.confidence, bins.rows, width=0.04)
        for x, rows in zip(bins.confidence, bins.rows, strict=True):
            lower.annotate(f"{rows:,}", (x, rows), ha="center", va="bottom", fontsize=6)
        lower.set(xlabel="confidence", ylabel="rows", xlim=(0, 1))
    return figure


SAME_WIDTH = 1e-6
"""Intervals whose widths differ by no larger share are equally wide."""


def interval_plot(pit: Floats, width: Floats, inside: Bools, level: float) -> Figure:
    """PIT of labels, which is uniform where distributions are calibrated, and coverage by the width of the interval.

    Args:
        pit: [N], in [0, 1].
        width: of each row's interval [N].
        inside: whether it holds the label [N].
        level: share of intervals that are to hold it.
    """
    with panels(1, 2, size=(4.2, 3.4)) as (figure, (left, right)):
        left.hist(pit, bins=20, range=(0, 1), density=True)
        left.axhline(1.0, color="#888888", linestyle=":")
        left.set(title="PIT of the label", xlabel="PIT", ylabel="density", xlim=(0, 1))
        # Of intervals that are equally wide, rounding would make groups.
        groups = 1 if np.ptp(width) <= SAME_WIDTH * np.abs(width).max() else min(10, len(width))
        parts = np.array_split(np.argsort(width, kind="stable"), groups)
        points = [(width[part].mean(), inside[part].mean()) for part in parts]
        size = f"{'' if groups == 1 else 'about '}{len(parts[0]):,} rows"
        right.plot(*zip(*points, strict=True), marker="o", label=f"{counted(groups, 'group')} of {size}")
        for part, (x, share) in zip(parts, points, strict=True):
            right.vlines(x, *wilson(share, len(part)), color=COLORS[0])
        right.axhline(level, color="#888888", linestyle=":", label="promised for all rows")
        right.set(title="Coverage of intervals", xlabel="mean width", ylabel="coverage")
        right.set_ylim(top=1.02)
        right.legend()
    return figure


def latent_pit(distances: PITDistances) -> Figure:
    """Histograms of the distances from uniform of the target latents' PIT, and the largest one by chance."""
    shown = {"as trained": distances.trained, "recalibrated": distances.recalibrated}
    with panels(1, 1, size=(4.8, 3.2)) as (figure, (axis,)):
        for (name, values), color in zip(shown.items(), COLORS, strict=False):
            label = f"{name} (median {np.median(values):.3f})"
            axis.hist(values, bins=40, range=(0, 1), histtype="step", color=color, label=label)
        axis.axvline(distances.worst_by_chance, color="#888888", linestyle=":", label="largest by chance (95%)")
        axis.set(title="PIT of s_y under the predictor", xlabel="KS distance from uniform", xlim=(0, 1))
        axis.set_ylabel("pairs of feature and dimension")
        axis.legend()
    return figure


def measures_plot(differences: Mapping[Any, tuple[float, float, float]]) -> Figure:
    """AURC of every uncertainty measure minus that of maximum probability, with intervals; left of 0 is better.

    Args:
        differences: measure -> (difference, low, high).
    """
    names = sorted(differences, key=lambda name: -differences[name][0])
    with panels(1, 1, size=(5.4, 0.26 * len(names) + 1.0)) as (figure, (axis,)):
        for place, name in enumerate(names):
            middle, low, high = differences[name]
            axis.plot([low, high], [place, place], color=COLORS[0])
            axis.plot([middle], [place], "o", color=COLORS[0], markersize=4)
        axis.axvline(0, color="#888888", linestyle=":")
        axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axis.set(title="AURC on test rows, difference from max. probability", xlabel="difference (95% interval)")
    return figure


def embedding_map(points: Floats, uncertainty: Floats | None, labels: Floats | None, classes: Sequence[str]) -> Figure:
    """Two-dimensional map of rows, coloured by uncertainty and by label, if known.

    Args:
        points: [N, 2].
        uncertainty: [N], or None.
        labels: [N] class numbers or values, or None.
        classes: names of the classes; empty for values.
    """
    with panels(1, max(1, (uncertainty is not None) + (labels is not None)), size=(5.0, 4.2)) as (figure, axes):
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
    rows = [int((labels == number).sum()) for number in range(len(classes))]
    # Colours that can be told apart are few: of many classes those of most rows have one, in the order of the classes.
    shown = sorted(sorted(range(len(classes)), key=lambda number: -rows[number])[: len(COLORS)])
    if len(classes) > len(shown):
        axis.set(title=f"Label: the largest {len(shown)} of {len(classes)} classes")
    x, y = points[~np.isin(labels, shown)].T
    axis.scatter(x, y, s=5, color="#dddddd")
    for color, number in zip(COLORS, shown, strict=False):
        x, y = points[labels == number].T
        axis.scatter(x, y, s=5, color=color, label=named(classes[number]))
    axis.legend(markerscale=3)
