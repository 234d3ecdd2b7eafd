"""Accuracy without labels on drifted batches: how far the estimate is off, and how often its interval holds.

    python -m benchmarks.estimate adult=adult.csv.gz [covertype=covertype.parquet] [--batches 200]

A model with a small encoder is trained on each table. Calibration rows are the reference, and batches of 500 test rows
drift in one of four ways: other rows (a column decides which come), other classes (their shares change), missing cells
(a fifth of the cells of up to half of the columns), and noise (up to one standard deviation in up to half of the
numbers). The last three may change what a row's label is worth, which the method does not claim to see.
Writes `results/estimate.json`.
"""

import argparse
import tempfile
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness import RESULTS, Figure, GivenTable, publish
from benchmarks.heads import trained
from varjepa.evaluation.gate.groups import truth_of
from varjepa.inference.drift_counts import estimated_accuracy, make_profile
from varjepa.inference.row_statistics import principal_directions, row_statistics

ROWS = 500
"""Rows of a batch."""

Drift = Callable[[pl.DataFrame, np.random.Generator, str], pl.DataFrame]


def other_rows(frame: pl.DataFrame, rng: np.random.Generator, label: str) -> pl.DataFrame:
    """Rows drawn with weights that rise or fall with one column's rank."""
    name = rng.choice([column for column in frame.columns if column != label])
    rank = frame[name].rank("dense").fill_null(0).to_numpy() / max(frame[name].n_unique(), 1)
    return _drawn(frame, np.exp(rng.uniform(-4, 4) * rank), rng)


def other_classes(frame: pl.DataFrame, rng: np.random.Generator, label: str) -> pl.DataFrame:
    """Rows drawn with another weight for each class, up to three times and down to a third."""
    number = frame[label].rank("dense").cast(pl.Int64).to_numpy() - 1
    return _drawn(frame, 3.0 ** rng.uniform(-1, 1, number.max() + 1)[number], rng)


def missing_cells(frame: pl.DataFrame, rng: np.random.Generator, label: str) -> pl.DataFrame:
    """A fifth of the cells of some columns is missing."""
    frame = _drawn(frame, np.ones(frame.height), rng)
    gaps = {name: pl.Series(rng.random(frame.height) < 0.2) for name in _some(frame, rng, label)}
    return frame.with_columns(pl.when(~gap).then(frame[name]).alias(name) for name, gap in gaps.items())


def noise(frame: pl.DataFrame, rng: np.random.Generator, label: str) -> pl.DataFrame:
    """Noise of up to one standard deviation in some of the numbers."""
    frame = _drawn(frame, np.ones(frame.height), rng)
    numbers = [name for name in _some(frame, rng, label) if frame.schema[name].is_numeric()]
    scale = rng.uniform(0, 1)
    return frame.with_columns(
        (frame[name] + scale * (frame[name].std() or 0.0) * pl.Series(rng.normal(size=frame.height))).alias(name)
        for name in numbers
    )


DRIFTS: dict[str, Drift] = {
    "other rows": other_rows, "other classes": other_classes, "missing cells": missing_cells, "noise": noise
}  # fmt: skip


def _some(frame: pl.DataFrame, rng: np.random.Generator, label: str) -> list[str]:
    names = [name for name in frame.columns if name != label]
    return list(rng.choice(names, size=rng.integers(1, len(names) // 2 + 1), replace=False))


def _drawn(frame: pl.DataFrame, weights: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    return frame[rng.choice(frame.height, size=ROWS, replace=False, p=weights / weights.sum())]


def figures(name: str, path: str | None, batches: int) -> list[Figure]:
    """Mean absolute error and share of intervals that hold, per kind of drift and together."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        world = trained(name, path, 0)
        raw = {part: world.prepared.raw(part).collect() for part in ("train", "calibration", "test")}
    model = world.model
    label = model.preprocessor.label
    if label is None:
        raise ValueError(f"{name} has no label")
    directions = principal_directions(model, model.encode(raw["train"].head(2000)))
    profile = make_profile(model, raw["calibration"], raw["calibration"], directions, model.config.data.split)
    test = raw["test"].select([*model.preprocessor.columns, label.name])
    errors: dict[str, list[float]] = {kind: [] for kind in DRIFTS}
    held: dict[str, list[bool]] = {kind: [] for kind in DRIFTS}
    widths: dict[str, list[float]] = {kind: [] for kind in DRIFTS}
    for number in range(batches):
        kind = list(DRIFTS)[number % len(DRIFTS)]
        batch = DRIFTS[kind](test, np.random.default_rng([number, 43]), label.name)
        truth = float((model.predict(batch)["prediction"] == truth_of(batch, label)).to_numpy().mean())
        statistics = row_statistics(model, batch.drop(label.name), directions)
        found = estimated_accuracy(profile.counts, statistics)
        if found is None:
            raise ValueError("too few labelled reference rows")
        errors[kind].append(abs(found.accuracy - truth))
        held[kind].append(found.low <= truth <= found.high)
        widths[kind].append(found.high - found.low)
    errors["all"] = [value for values in errors.values() for value in values]
    held["all"] = [value for values in held.values() for value in values]
    widths["all"] = [value for values in widths.values() for value in values]
    lines = []
    for kind, values in errors.items():
        asked = "at least 0.9" if kind == "all" else ""
        lines += [
            Figure(f"{name}, {kind}: mean error of the estimate", float(np.mean(values)), "accuracy"),
            Figure(f"{name}, {kind}: intervals that hold", float(np.mean(held[kind])), "share", None, asked),
            Figure(f"{name}, {kind}: mean width of the intervals", float(np.mean(widths[kind])), "accuracy"),
        ]
    return lines


def main() -> None:
    """Parses the arguments, measures, and writes the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimate", description=__doc__)
    parser.add_argument(
        "tables", nargs="+", type=GivenTable.parsed, metavar="NAME=PATH", help="adult=FILE, covertype=FILE, or sim"
    )
    parser.add_argument("--batches", type=int, default=200, help="number of batches per table")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    words = parser.parse_args()
    found = []
    for table in words.tables:
        found += figures(table.name, str(table.path) if table.path else None, words.batches)
    command = f"python -m benchmarks.estimate {' '.join(map(str, words.tables))} --batches {words.batches}"
    publish("estimate", found, words.out, command=command)


if __name__ == "__main__":
    main()
