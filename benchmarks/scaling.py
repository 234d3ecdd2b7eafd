"""How cost grows with rows and with features; draws docs/figures/cost_rows.png and cost_features.png.

- Rows: the table of the preprocessing benchmark with a tiny network, so that the cost of the table dominates. An epoch
  of training is measured over a fixed number of steps and scaled up to its length.
- Features: numeric columns and the published widths. The time per row of a training step is compared with the
  arithmetic of its matrix products, which is known exactly.
"""

import json
import sys
import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from benchmarks import training
from benchmarks.harness import Figure, Timing, child, in_turns
from benchmarks.preprocessing import made_batch, make
from benchmarks.scoring import GROUPS, TINY
from benchmarks.shards import encoded_rows, prepare, table_trainer
from varjepa import plots
from varjepa.config import MaskingSection, RetrainConfig, parse_config
from varjepa.config.learning import ModelSection
from varjepa.data.read.sources import ROW
from varjepa.data.tensors.table import TableSizes
from varjepa.inference.model import TrainedModel
from varjepa.nn.random import Randomness
from varjepa.training.device import keep_memory
from varjepa.training.distributed import World

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
ROWS = (100_000, 1_000_000, 10_000_000)
STEPS = 150
"""Training steps that stand for an epoch; about one of the smallest table."""
FEATURES = (8, 16, 32, 64, 128, 256, 400, 800)
FEATURE_BATCH, FEATURE_STEPS, REPEATS = 32, 4, 3
STAGES = {"preprocess": "preprocessing", "epoch": "one epoch of training", "score": "scoring, file to file"}


def run(rows: tuple[int, ...] = ROWS, features: tuple[int, ...] = FEATURES) -> list[Figure]:
    """Measures and draws both."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    return [*_by_rows(rows), *_by_features(features)]


def _by_rows(rows: tuple[int, ...]) -> list[Figure]:
    found = []
    with TemporaryDirectory() as folder:
        for count in rows:
            path = Path(folder) / str(count)
            make(path, made_batch, count)
            _, out = child("-m", "benchmarks.scaling", str(path))
            found.append(json.loads(out.splitlines()[-1]))
    figures, points, exponents = [], {}, {}
    for stage, words in STAGES.items():
        seconds = [told[stage] for told in found]
        figures += [
            Figure(f"{count / 1e6:g} million rows: {words}", s, "s") for count, s in zip(rows, seconds, strict=True)
        ]
        exponents[stage] = float(np.polyfit(np.log(rows), np.log(seconds), 1)[0])
        points[f"{words} (exponent {exponents[stage]:.2f})"] = (rows, seconds)
        figures.append(
            Figure(f"exponent of rows: {words}", exponents[stage], "", None, "about 1; below where a fixed cost counts")
        )
    line = {"proportional to rows": (rows, [found[-1]["epoch"] * count / rows[-1] for count in rows])}
    drawn = plots.cost_plot(points, line, labels=("rows", "seconds"), title="Cost by rows (tiny network)")
    drawn.savefig(FIGURES / "cost_rows.png")
    return figures


def _by_features(features: tuple[int, ...]) -> list[Figure]:
    keep_memory()
    steppers = {str(count): _stepper(count) for count in features}
    work = np.array([training.flops(training.products_of(stepper)) for stepper in steppers.values()], dtype=float)
    timings = in_turns(dict(steppers), REPEATS)
    per_row = FEATURE_BATCH * FEATURE_STEPS
    seconds = np.array([timings[str(count)].median for count in features]) / per_row
    counts, work = np.array(features, dtype=float), work / per_row
    fit, expected = _fitted(counts, seconds), _fitted(counts, work)
    quadratic = expected[2] * counts**2 / work
    off = float(np.abs(np.polyval(fit[::-1], counts) / seconds - 1).max())
    speeds = work / seconds / 1e9
    figures = [
        Figure(f"{count} features", 1e3 * s, "ms/row", timings[str(count)].noise)
        for count, s in zip(features, seconds, strict=True)
    ]
    figures += [
        Figure("fit a + b D + c D^2: a", 1e3 * fit[0], "ms"),
        Figure("fit: b", 1e3 * fit[1], "ms"),
        Figure("fit: c", 1e6 * fit[2], "us"),
        Figure("fit: largest relative error", off, ""),
        Figure(f"share of attention (D^2) in the arithmetic at {features[-1]} features", float(quadratic[-1]), ""),
        Figure("arithmetic per second, most over least", float(speeds.max() / speeds.min()), "x"),
        Figure(f"exponent of features, {features[0]} to {features[-1]}",
               float(np.polyfit(np.log(counts), np.log(seconds), 1)[0]), ""),
    ]  # fmt: skip
    grid = np.geomspace(features[0], features[-1], 60)
    lines = {
        "fit a + b D + c D²": (grid, 1e3 * np.polyval(fit[::-1], grid)),
        "its linear part a + b D": (grid, 1e3 * (fit[0] + fit[1] * grid)),
        f"arithmetic of the products at {np.median(speeds):.0f} GFLOP/s": (counts, 1e-6 * work / np.median(speeds)),
    }
    title = "Cost of a training step by features (published widths)"
    points = {"measured": (counts, 1e3 * seconds)}
    drawn = plots.cost_plot(points, lines, labels=("features D", "milliseconds per row"), title=title)
    drawn.savefig(FIGURES / "cost_features.png")
    return figures


def _fitted(counts: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Coefficients (a, b, c) >= 0 of a + b D + c D^2 with the smallest relative error."""
    from scipy.optimize import nnls

    return nnls(np.stack([counts**0, counts, counts**2], axis=1) / cost[:, None], np.ones_like(cost))[0]


def _stepper(count: int) -> training.Stepper:
    shape = training.Shape(TableSizes(count, []), ModelSection(), MaskingSection(), FEATURE_BATCH)
    return training.Stepper(shape, precision="float32", steps=FEATURE_STEPS)


def _stages(folder: Path) -> dict[str, float]:
    """Seconds of every stage for one table."""
    from varjepa.tasks.scoring.one_file import Request, score

    keep_memory()
    moments = [time.perf_counter()]
    prepare(folder)
    moments.append(time.perf_counter())
    rows = encoded_rows(folder, memory=4)
    model = ModelSection.model_validate(TINY)
    trainer, random = (
        table_trainer(rows.source(["train"], folder / "shards", World()), rows, model),
        Randomness.seeded(0),
    )
    seconds = []
    for batch in islice(trainer.epochs.batches(0, random, 0), STEPS):
        started = time.perf_counter()
        trainer._step(batch, 0, random)
        seconds.append(time.perf_counter() - started)
    epoch = Timing(tuple(seconds[5:])).median * trainer.steps_per_epoch
    config: RetrainConfig = parse_config({"data": {"name": "table"}, "model": TINY, "generator": {"n_layers": 0}})
    trained = TrainedModel(config, rows.preprocessor, trainer.network.eval(), None, None)
    pl.scan_parquet(folder / "table.parquet").drop(ROW).sink_parquet(folder / "source.parquet")
    started = time.perf_counter()
    score(trained, Request(str(folder / "source.parquet"), str(folder / "out.parquet"), force=True), GROUPS)
    return {"preprocess": moments[1] - moments[0], "epoch": epoch, "score": time.perf_counter() - started}


if __name__ == "__main__":
    print(json.dumps(_stages(Path(sys.argv[1]))))
