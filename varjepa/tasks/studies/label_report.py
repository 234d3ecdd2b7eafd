"""Report of a study of few labels: tables as CSV and Markdown, a figure, and one self-contained page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from varjepa import plots
from varjepa.config import BenchmarkConfig
from varjepa.evaluation.bootstrap import cluster_numbers
from varjepa.evaluation.label_curves import CellKey, Gap, Point, gaps, points, verdicts
from varjepa.tasks.reports.page import Picture, Table, markdown_tables, render, write_csv
from varjepa.tasks.reports.provenance import provenance
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import step_folder
from varjepa.tasks.studies.label_cell import LabelCell

POINT_HEADER = ("dataset", "labels", "method", "mean", "low", "high")
GAP_HEADER = ("dataset", "labels", "method", "rival", "difference", "low", "high", "p", "adjusted", "outcome")


@dataclass(frozen=True)
class LabelReport:
    """Files of the report and what they hold.

    Attributes:
        folder: holds `labels.csv`, `gaps.csv`, `labels.md`, `labels.png` and `report.html`.
        page: HTML.
        points: every method with every number of labels.
        gaps: methods on the embedding against methods on raw columns.
        verdicts: data set and number of labels -> whether self-supervision pays there.
    """

    folder: Path
    page: Path
    points: list[Point]
    gaps: list[Gap]
    verdicts: dict[CellKey, str]


@task(name="report labels")
def report_labels(config: BenchmarkConfig, cells: Sequence[LabelCell]) -> LabelReport:
    """Compares methods with and without an embedding, for each number of labels."""
    folder = step_folder("label-report", config.model_dump(mode="json"), code=__name__)
    folder.mkdir(parents=True, exist_ok=True)
    goodness = {(cell.dataset, cell.labels): cell.values() for cell in cells}
    clusters = {cell.dataset: cluster_numbers(cell.clusters()) for cell in cells}
    found, compared = points(goodness, clusters), gaps(goodness, clusters)
    words = verdicts(compared)
    write_csv(folder / "labels.csv", POINT_HEADER, map(point_cells, found))
    write_csv(folder / "gaps.csv", GAP_HEADER, map(gap_cells, compared))
    plots.label_curves_plot(curves_of(found)).savefig(folder / "labels.png")
    sections = [*_sections(found, compared, words), _made(config, cells)]
    write_text(folder / "labels.md", markdown_tables(sections))
    page = folder / "report.html"
    write_text(page, render("benchmark.html", sections=sections, figures=[Picture.of(folder / "labels.png")]))
    return LabelReport(folder, page, found, compared, words)


def curves_of(found: Sequence[Point]) -> dict[str, dict[str, list[tuple[int, float, float, float]]]]:
    """Points as `plots.label_curves_plot` takes them."""
    curves: dict[str, dict[str, list[tuple[int, float, float, float]]]] = {}
    for point in sorted(found, key=lambda point: point.labels):
        line = curves.setdefault(point.dataset, {}).setdefault(point.method, [])
        line.append((point.labels, point.mean, point.low, point.high))
    # In the order in which they were measured, whatever their numbers of labels.
    return {name: curves[name] for name in dict.fromkeys(point.dataset for point in found)}


def point_cells(point: Point) -> list[str]:
    """A line of `labels.csv`."""
    return [point.dataset, str(point.labels), point.method, *(f"{value:.5f}" for value in point[3:])]


def gap_cells(gap: Gap) -> list[str]:
    """A line of `gaps.csv`."""
    numbers, chances = gap.difference[:3], (gap.difference.p, gap.adjusted)
    return [
        gap.dataset, str(gap.labels), gap.method, gap.rival, *(f"{value:+.5f}" for value in numbers),
        *(f"{p:.2g}" for p in chances), gap.outcome,
    ]  # fmt: skip


def _sections(found: Sequence[Point], compared: Sequence[Gap], words: Mapping[CellKey, str]) -> list[Table]:
    methods = list(dict.fromkeys(point.method for point in found))
    by_cell = {(point.dataset, point.labels, point.method): point for point in found}
    lines = [
        [dataset, f"{labels:,}", *(_shown(by_cell[dataset, labels, method]) for method in methods), sentence]
        for (dataset, labels), sentence in words.items()
    ]
    return [
        ("Accuracy or R2 on test rows (95% interval over draws of labels and test rows)",
         ["data set", "labelled rows", *methods, "self-supervision"], lines),
        ("The embedding against raw columns (interval and p of each alone; adjusted: p of all together)",
         list(GAP_HEADER), [gap_cells(gap) for gap in compared]),
    ]  # fmt: skip


def _shown(point: Point) -> str:
    return f"{point.mean:.4f} ({point.low:.4f} to {point.high:.4f})"


def _made(config: BenchmarkConfig, cells: Sequence[LabelCell]) -> Table:
    facts = {
        "protocol": config.protocol,
        "draws": f"seeds {config.seed} to {config.seed + config.seeds - 1}",
        "encoder": "one per data set, trained on all training rows without labels, its epoch selected without labels",
        "cells": f"{len(cells)}, each on one thread, {sum(cell.seconds for cell in cells) / 60:.0f} minutes in all",
    }
    return "How it was made", ["", ""], [list(fact) for fact in (facts | provenance()).items()]
