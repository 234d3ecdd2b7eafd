"""The picture in README: what a model says of labelled rows that it has never seen.

    varjepa init adult.csv --label income
    varjepa retrain adult.yaml
    python -m benchmarks.picture models:/adult@champion new.csv --label income --gaps age

Adult is shuffled by `polars.DataFrame.sample(fraction=1, shuffle=True, seed=0)`: its first 12,000 rows are adult.csv,
the next 6,000 new.csv.

Three panels: how accuracy rises as the least sure rows are left out, beside what the certificate promises; the rows as
vectors, coloured by a label that trained none of them; and hidden cells of one column, with their intervals.
Writes docs/figures/result.png.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from varjepa.data.cells import column
from varjepa.evaluation.uncertainty.selective import risk_coverage
from varjepa.inference.model import TrainedModel
from varjepa.plots.style import COLORS, panels
from varjepa.tasks.registry.open_model import open_model

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "result.png"
POINTS = 1500
"""Rows on the map of vectors."""

HIDDEN = 60
"""Cells that are hidden and filled."""


def _cells(rows: pl.DataFrame, name: str) -> pl.Series:
    return rows.select(column(name)).to_series()


def draw_accuracy(axis: Axes, model: TrainedModel, rows: pl.DataFrame, label: str) -> None:
    """Accuracy of the surest rows over their share, with the rows that the certificate accepts."""
    answers = model.predict(rows)
    wrong = (answers["prediction"] != _cells(rows, label).cast(pl.String)).to_numpy()
    curve = risk_coverage(answers["uncertainty"].to_numpy(), wrong.astype(float))
    shown = curve.coverage >= 0.02
    axis.plot(100 * curve.coverage[shown], 100 * (1 - curve.risk[shown]), color=COLORS[0], linewidth=2)
    axis.set(title="Keep the surest rows: accuracy rises", xlabel="% of rows kept", ylabel="% predicted correctly")
    certificate = model.certificate
    if certificate is None or certificate.threshold is None:
        return
    kept, promised = 100 * answers["accept"].to_numpy().mean(), 100 * certificate.accuracy
    right = 100 * (1 - wrong[answers["accept"].to_numpy()].mean())
    axis.axhline(promised, color=COLORS[2], linestyle=":")
    axis.text(1, promised - 0.25, f"promised: {promised:.0f}%", color=COLORS[2], va="top", fontsize=8)
    axis.plot([kept], [right], "o", color=COLORS[1], markersize=7)
    axis.annotate(f"accepted:\n{kept:.0f}% of the rows,\n{right:.1f}% of them right", (kept, right), (4, right - 6),
                  color=COLORS[1], fontsize=9, arrowprops={"arrowstyle": "-", "color": COLORS[1]})  # fmt: skip


def draw_map(axis: Axes, model: TrainedModel, rows: pl.DataFrame, label: str) -> None:
    """The first two numbers of the rows' vectors, coloured by the label."""
    some = rows.head(POINTS)
    points, classes = model.vectors(some, 2), _cells(some, label).cast(pl.String)
    for value, color in zip(classes.unique().sort().drop_nulls(), COLORS, strict=False):
        own = points[(classes == value).to_numpy()]
        axis.scatter(own[:, 0], own[:, 1], s=7, color=color, alpha=0.5, linewidth=0, label=value)
    axis.set(title="Rows as vectors (no label used)", xlabel="vector 1", ylabel="vector 2")
    axis.legend(markerscale=3, title=label, title_fontsize=8)


def draw_gaps(axis: Axes, model: TrainedModel, rows: pl.DataFrame, name: str) -> None:
    """Cells of a column, hidden at random with others: the interval of each, and its true value."""
    holes = np.random.default_rng(0).random((rows.height, rows.width)) < model.config.generator.missing
    gaps = rows.with_columns(
        pl.when(~pl.lit(holes[:, j])).then(column(key)).alias(key) for j, key in enumerate(rows.columns)
    )
    filled, hidden = (
        model.impute(gaps),
        holes[:, rows.columns.index(name)] & _cells(rows, name).is_not_null().to_numpy(),
    )
    truth, guess = (_cells(frame, name).to_numpy().astype(float)[hidden] for frame in (rows, filled.filled))
    low, high = (filled.bounds[f"{name}.{end}"].to_numpy().astype(float)[hidden] for end in ("low", "high"))
    inside = ((low <= truth) & (truth <= high)).mean()
    shown = np.argsort(guess[:HIDDEN], kind="stable")
    places = np.arange(len(shown))
    axis.vlines(places, low[shown], high[shown], color=COLORS[0], alpha=0.35, linewidth=2.5, label="90% interval")
    axis.scatter(places, guess[shown], s=14, color=COLORS[0], marker="_", label="filled in")
    axis.scatter(places, truth[shown], s=9, color=COLORS[1], zorder=3, label=f"truth ({inside:.0%} inside)")
    axis.set(title=f"Hidden cells of '{name}', filled in", ylabel=name)
    axis.set(xlabel=f"{len(shown)} of {hidden.sum():,} hidden cells")
    axis.set(xticks=[], ylim=(None, axis.get_ylim()[1] * 1.35))
    axis.legend(ncols=2, columnspacing=0.8, handletextpad=0.4, loc="upper left")


def arguments() -> argparse.Namespace:
    """What the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("rows", type=Path, help="labelled rows that the model has not seen, as CSV")
    parser.add_argument("--label", required=True)
    parser.add_argument("--gaps", required=True, metavar="COLUMN", help="column whose cells are hidden")
    parser.add_argument("--out", type=Path, default=FIGURE)
    return parser.parse_args()


def main() -> None:
    """Draws the picture."""
    wanted = arguments()
    model, rows = open_model(wanted.model), pl.read_csv(wanted.rows)
    with panels(1, 3, size=(3.3, 3.0)) as (figure, (left, middle, right)):
        draw_accuracy(left, model, rows, wanted.label)
        draw_map(middle, model, rows, wanted.label)
        draw_gaps(right, model, rows, wanted.gaps)
    figure.savefig(wanted.out, dpi=130)


if __name__ == "__main__":
    main()
