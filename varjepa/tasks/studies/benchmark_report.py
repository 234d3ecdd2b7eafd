"""Report of a benchmark: tables as CSV, Markdown and one self-contained page, and a figure per data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from varjepa import plots
from varjepa.config import BenchmarkConfig
from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.benchmark.published import published_accuracies
from varjepa.evaluation.benchmark.tables import SELECTIVE, CellKey, Duel, Row, duels, table_rows, tally
from varjepa.evaluation.bootstrap import cluster_numbers
from varjepa.tasks.reports.page import Picture, Table, markdown_tables, render, write_csv
from varjepa.tasks.reports.provenance import provenance
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import step_folder
from varjepa.tasks.studies.benchmark_cell import Cell, Metrics

HEADER = ("dataset", "features", "predictor", "metric", "mean", "sd", "seeds", "published")
DUEL_HEADER = ("dataset", "predictor", "features", "rival", "difference", "low", "high", "p", "adjusted", "outcome")

TITLES = {
    "raw": "raw", "untrained": "untrained encoder", "t_jepa": "T-JEPA", "var_t_jepa": "Var-T-JEPA", "mlp": "MLP",
    "dcnv2": "DCNv2", "resnet": "ResNet", "autoint": "AutoInt", "ft_transformer": "FT-Transformer",
    "xgboost": "XGBoost", "linear": "linear", "lightgbm": "LightGBM", "tabm": "TabM", "realmlp": "RealMLP",
    "skrub_linear": "TableVectorizer + linear", "skrub_trees": "TableVectorizer + trees",
}  # fmt: skip

MAIN = ("accuracy", "f1_weighted", "f1_macro", "rmse", "r2")
"""Metrics that have a table of their own."""


@dataclass(frozen=True)
class BenchmarkReport:
    """Files of the report and the tables in them.

    Attributes:
        folder: holds `benchmark.csv`, `duels.csv`, `benchmark.md`, `report.html` and the figures.
        page: HTML.
        rows: every metric of every cell.
        duels: feature sets against each other.
        tally: (features, rival) -> wins, ties, losses.
    """

    folder: Path
    page: Path
    rows: list[Row]
    duels: list[Duel]
    tally: dict[tuple[str, str], dict[str, int]]


@task(name="report benchmark")
def report_benchmark(config: BenchmarkConfig, cells: Sequence[Cell]) -> BenchmarkReport:
    """Compares all cells with the published figures and with each other."""
    folder = step_folder("benchmark-report", config.model_dump(mode="json"), code=__name__)
    folder.mkdir(parents=True, exist_ok=True)
    rows = table_rows(all_values(cells), published_accuracies())
    compared = duels(
        all_goodness(cells, config), config.seed, ratios=held_ratios(cells), clusters=all_clusters(cells, config)
    )
    write_csv(folder / "benchmark.csv", HEADER, map(_row_cells, rows))
    write_csv(folder / "duels.csv", DUEL_HEADER, map(_duel_cells, compared))
    sections = [*_sections(config, rows, compared), _made(config, cells)]
    write_text(folder / "benchmark.md", markdown_tables(sections))
    figures = []
    for name in config.datasets:
        figures.append(folder / f"{name}.png")
        plots.benchmark_plot(_bars(rows, name), TITLES).savefig(figures[-1])
    page = folder / "report.html"
    write_text(page, benchmark_page(sections, figures))
    return BenchmarkReport(folder, page, rows, compared, tally(compared))


def all_values(cells: Sequence[Cell]) -> dict[CellKey, Metrics]:
    """Cell -> metric -> values of all splits, encoders and seeds of the predictor, in this order."""
    joined: dict[CellKey, Metrics] = {}
    for cell in cells:
        for name, values in cell.values().items():
            joined.setdefault(cell.key, {}).setdefault(name, []).extend(values)
    return joined


def all_goodness(cells: Sequence[Cell], config: BenchmarkConfig) -> dict[CellKey, list[Floats]]:
    """Cell -> per split [E, R, N]: the goodness of every encoder, seed of the predictor and test row."""
    found: dict[CellKey, list[list[Floats]]] = {}
    for cell in cells:
        found.setdefault(cell.key, [[] for _ in range(config.splits)])[cell.split].append(goodness(cell))
    return {key: [np.stack(runs) for runs in splits] for key, splits in found.items()}


def all_clusters(cells: Sequence[Cell], config: BenchmarkConfig) -> dict[str, list[Ints | None]]:
    """Data set -> per split, the clusters of its test rows."""
    found: dict[str, list[Ints | None]] = {}
    for cell in {(cell.dataset, cell.split): cell for cell in cells}.values():  # all cells of a split have its rows
        with np.load(cell.outputs) as arrays:
            own = cluster_numbers(arrays["cluster"]) if "cluster" in arrays.files else None
        found.setdefault(cell.dataset, [None] * config.splits)[cell.split] = own
    return found


def held_ratios(cells: Sequence[Cell]) -> dict[str, float]:
    """Data set -> test rows over training rows, on average over its splits."""
    ratios: dict[str, list[float]] = {}
    for cell in {(cell.dataset, cell.split): cell for cell in cells}.values():  # all cells of a split have its rows
        with np.load(cell.outputs) as arrays:
            ratios.setdefault(cell.dataset, []).append(len(arrays["label"]) / cell.trained_on)
    return {name: float(np.mean(values)) for name, values in ratios.items()}


def goodness(cell: Cell) -> Floats:
    """Goodness per seed and test row [R, N], whose mean is accuracy or R2: 1 for the right class and 0 for a wrong one.

    Squared errors are in units of the variance of the split's test labels, as splits differ in it.
    """
    with np.load(cell.outputs) as arrays:
        outputs, labels = arrays["test"], arrays["label"]  # [R, N, C], [N]
    if outputs.shape[2] == 1:
        return 1 - np.square(outputs[..., 0].astype(np.float64) - labels) / (float(labels.var()) or 1.0)
    return (outputs.argmax(2) == labels).astype(np.float64)


def _row_cells(row: Row) -> list[str]:
    sd, published = (("" if value is None else f"{value:.4g}") for value in (row.sd, row.published))
    return [row.dataset, row.features, row.predictor, row.metric, f"{row.mean:.5g}", sd, str(row.seeds), published]


def _duel_cells(duel: Duel) -> list[str]:
    numbers = [f"{value:+.5f}" for value in duel.difference[:3]]
    chances = [f"{p:.2g}" for p in (duel.difference.p, duel.adjusted)]
    return [duel.dataset, duel.predictor, duel.features, duel.rival, *numbers, *chances, duel.outcome]


def _sections(config: BenchmarkConfig, rows: list[Row], compared: list[Duel]) -> list[Table]:
    """The tables of the report: Table 2 per metric, Table 3, duels and their tally."""
    tables = [table for metric in MAIN if (table := _by_features(config, rows, metric))]
    tables += [table for name in config.datasets if (table := _selective(config, rows, name))]
    lines = [[TITLES[a], TITLES[b], *map(str, counts.values())] for (a, b), counts in tally(compared).items()]
    header = ["features", "against", "better", "no difference shown", "worse", "mean at or above"]
    return [
        *tables,
        ("Cells won and lost (p-value of all duels together at most 0.05)", header, lines),
        (
            "Feature sets against each other (95% interval and p of each alone; adjusted: p of all together)",
            list(DUEL_HEADER),
            [_duel_cells(duel) for duel in compared],
        ),
    ]


def _made(config: BenchmarkConfig, cells: Sequence[Cell]) -> Table:
    facts = {
        "protocol": config.protocol,
        "splits": str(config.splits),
        "encoders of each kind and split": f"{config.encoder_seeds}, epochs selected by {config.selection}",
        "seeds of a predictor on each encoder": str(config.seeds),
        "trials of a predictor": str(config.training.trials),
        "cells": f"{len(cells)}, each on one thread, {sum(cell.seconds for cell in cells) / 60:.0f} minutes in all",
    }
    return "How it was made", ["", ""], [list(fact) for fact in (facts | provenance()).items()]


def _by_features(config: BenchmarkConfig, rows: list[Row], metric: str) -> Table | None:
    """One line per table and feature set, one column per predictor, and the mean of those that all sets have."""
    found = {row[:3]: row for row in rows if row.metric == metric}
    lines = []
    for name in config.datasets:
        sets = [features for features in config.features if any(key[:2] == (name, features) for key in found)]
        common = [p for p in config.predictors if all((name, features, p) in found for features in sets)]
        for features in sets:
            shown = [_shown(found.get((name, features, predictor))) for predictor in config.predictors]
            means = [found[name, features, predictor].mean for predictor in common]
            lines.append([name, TITLES[features], *shown, f"{sum(means) / len(means):.4f}" if means else ""])
    header = ["data set", "features", *(TITLES[predictor] for predictor in config.predictors), "mean"]
    title = f"{metric} on test rows, mean ± deviation over splits, encoders and seeds (published)"
    return (title, header, lines) if lines else None


def _shown(row: Row | None) -> str:
    if row is None:
        return ""
    sd = "" if row.sd is None else f" ± {row.sd:.4f}"
    published = "" if row.published is None else f" ({row.published:.3f})"
    return f"{row.mean:.4f}{sd}{published}"


def _selective(config: BenchmarkConfig, rows: list[Row], name: str) -> Table | None:
    """Table 3: accuracy of the most certain rows, by latent uncertainty and by maximum probability."""
    by_cell = {row[1:4]: row for row in rows if row.dataset == name}  # (features, predictor, metric) -> row
    lines = [
        [TITLES[features], words, TITLES[predictor], *(_shown(by_cell.get((features, predictor, f"{group}/{metric}")))
                                                       for metric in SELECTIVE)]
        for features in config.features
        for predictor in config.predictors
        for group, words in (("selective", "latent"), ("selective_msp", "max. probability"))
        if (features, predictor, f"{group}/{SELECTIVE[0]}") in by_cell
    ]  # fmt: skip
    header = ["features", "uncertainty", "predictor", "90% kept", "80%", "50%"]
    return (f"Selective accuracy on {name} (published)", header, lines) if lines else None


def _bars(rows: list[Row], name: str) -> dict[str, dict[str, tuple[float, float | None]]]:
    """Feature set -> predictor -> (ours, published) of the table's main metric."""
    chosen = [row for row in rows if row.dataset == name and row.metric in ("accuracy", "r2")]
    bars: dict[str, dict[str, tuple[float, float | None]]] = {}
    for row in chosen:
        bars.setdefault(row.features, {})[row.predictor] = (row.mean, row.published)
    return bars


def benchmark_page(sections: list[Table], figures: list[Path]) -> str:
    """The report as one self-contained page.

    Args:
        sections: tables.
        figures: PNG files.
    """
    return render("benchmark.html", sections=sections, figures=[Picture.of(figure) for figure in figures])
