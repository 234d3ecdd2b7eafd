"""Tables and figures of the study of sizes, from its results.

    python -m benchmarks.size_report

Prints a table for every `results/sizes_NAME.json`, and draws `sizes_NAME.png` in the folder of the figures of docs.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS
from benchmarks.size_points import MEDIUM, Point
from varjepa import plots

FIGURES = Path(__file__).parents[1] / "docs" / "figures"

DEFAULT = "model.size: auto"

QUALITIES = {
    "accuracy": "accuracy of the linear probe", "selective_msp/accuracy_80": "accuracy on the 80% surest rows",
    "hidden_cells": "error in hidden cells (lower is better)",
}  # fmt: skip
COLUMNS = {
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "selective_msp/accuracy_80": "surest 80%",
    "selective_msp/aurc": "AURC",
    "selective_msp/failure_auroc": "failure AUROC",
    "selective/failure_auroc": "of latents",
    "hidden_cells": "hidden cells",
    "training_seconds": "training, s",
    "rows_per_second_float32": "rows/s",
}
"""Figures of a run -> titles of the table's columns."""

Runs = dict[Point, list[dict[str, float]]]
"""Settings without their seed -> the figures of each seed."""


def runs_of(content: dict[str, Any]) -> Runs:
    """The runs of a result file, those that differ in the seed alone together."""
    found: Runs = {}
    for run in content["runs"]:
        point = Point(**run["point"])._replace(seed=0)
        found.setdefault(point, []).append(run["figures"])
    return found


def mean(figures: Sequence[dict[str, float]], name: str) -> float:
    """Over seeds."""
    return statistics.mean(run[name] for run in figures)


def table(runs: Runs) -> str:
    """Markdown, cheap runs first; means over seeds."""
    lines = [f"| run | seeds | {' | '.join(COLUMNS.values())} |", "| --- " * (len(COLUMNS) + 2) + "|"]
    for point, figures in sorted(runs.items(), key=lambda item: mean(item[1], "training_seconds")):
        cells = [_shown(mean(figures, name)) for name in COLUMNS]
        lines.append(f"| {_name(point)} | {len(figures)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value > 10 or not value else f"{value:.4f}"


def _name(point: Point) -> str:
    if point.passes == 0:
        return " ".join([f"{point.layers}x{point.width} untrained", *point.special])
    usual, values = Point(point.layers, point.width), {"K": point.masks, "passes x": point.passes, "rate x": point.rate}
    plain = dict(zip(values, (usual.masks, usual.passes, usual.rate), strict=True))
    words = [f"{word}{value:g}" for word, value in values.items() if value != plain[word]]
    return " ".join([f"{point.layers}x{point.width}", *words, *point.special])


def draw(name: str, runs: Runs) -> None:
    """Draws the figure of a data set: sizes, and untrained encoders as lines."""
    groups: dict[str, list[tuple[str, float, list[float]]]] = {"layers x width": [], DEFAULT: [], "no bins": []}
    controls = dict[str, list[float]]()
    for point, figures in runs.items():
        qualities = [mean(figures, quality) for quality in QUALITIES]
        usual = Point(point.layers, point.width, bins=point.bins)
        if point.passes == 0 and point.bins:
            controls[_name(point)] = qualities
        if point != usual:
            continue  # other settings are in the table alone: their names would cover each other
        group = "no bins" if not point.bins else DEFAULT if point == MEDIUM else "layers x width"
        size = f"{point.layers}x{point.width}"
        groups[group].append((size, mean(figures, "training_seconds"), qualities))
    drawn = {group: points for group, points in groups.items() if points}
    titles = [f"{name}: {title}" for title in QUALITIES.values()]
    figure = plots.quality_plot(drawn, controls, titles, "processor seconds of training")
    figure.savefig(FIGURES / f"sizes_{name}.png")


def main() -> None:
    """Reports every result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.size_report", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    for file in sorted(parser.parse_args().results.glob("sizes_*.json")):
        name = file.stem.removeprefix("sizes_")
        runs = runs_of(json.loads(file.read_text(encoding="utf-8")))
        print(f"\n{name}\n\n{table(runs)}")
        draw(name, runs)


if __name__ == "__main__":
    main()
