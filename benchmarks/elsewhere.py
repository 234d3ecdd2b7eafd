"""Rows from elsewhere: which measures tell them from rows like those of training, and what that is worth.

    python -m benchmarks.elsewhere sim adult=adult.csv.gz covertype=covertype.parquet [--seeds 3]

A retrain learns from 8,000 rows. Of 2,000 other rows, half are altered: cells shuffled between rows, a sensor that is
off, categories never seen, missing cells, each in three severities; or they come from a place that no training row
comes from (Adult: born abroad; Covertype: one of four areas), which no feature names. For every measure: the AUROC with
which it tells altered rows from the others, and accuracy among the 80% of all these rows that it is surest of.
Writes `results/elsewhere.csv` and `results/elsewhere.json`.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import yaml

from benchmarks.harness import RESULTS, Figure, GivenTable, publish
from varjepa.data.read.sim_table import sim_table
from varjepa.evaluation.arrays import Bools, Floats
from varjepa.evaluation.auroc import auroc
from varjepa.evaluation.gate.groups import truth_of
from varjepa.evaluation.uncertainty.selective import risk_at, risk_coverage
from varjepa.inference.drift_reference import Directions
from varjepa.inference.model import TrainedModel
from varjepa.inference.row_statistics import principal_directions, row_statistics
from varjepa.inference.storage import load_model
from varjepa.models.embedding import embed

ROWS, HELD = 8000, 2000
"""Rows of a job, and rows that it does not see."""

COVERAGE = 0.8

SETTINGS: dict[str, Any] = {
    "training": {"max_epochs": 6, "batch_size": 256, "lr": 2e-3, "warmup_epochs": 0.5},
    "generator": {"n_layers": 2, "max_steps": 300, "assess_rows": 500},
    "gate": {"margin": 1.0},
}


class World(NamedTuple):
    """A table.

    Attributes:
        home: rows like those of training.
        away: rows from another place; empty where the table has none.
        label: column.
    """

    home: pl.DataFrame
    away: pl.DataFrame
    label: str


Alter = Callable[[pl.DataFrame, float, np.random.Generator], pl.DataFrame]


def shuffled(frame: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.DataFrame:
    """Cells of a share of the columns come from other rows."""
    names = rng.choice(frame.columns, max(1, round(share * frame.width)), replace=False)
    return frame.with_columns(frame[name].gather(rng.permutation(frame.height)).alias(name) for name in names)


def sensor_off(frame: pl.DataFrame, deviations: float, rng: np.random.Generator) -> pl.DataFrame:
    """One number of each row is off by so many standard deviations."""
    numbers = [name for name, kind in frame.schema.items() if kind.is_numeric() and frame[name].n_unique() > 2]
    hit = rng.integers(len(numbers), size=frame.height)
    off = {name: (hit == number) * deviations * (frame[name].std() or 0.0) for number, name in enumerate(numbers)}
    return frame.with_columns((frame[name].cast(pl.Float64) + pl.Series(by)).alias(name) for name, by in off.items())


def unseen(frame: pl.DataFrame, columns: float, rng: np.random.Generator) -> pl.DataFrame:
    """Some of the text columns hold a category that training has not seen."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    names = rng.choice(texts, min(len(texts), round(columns)), replace=False)
    return frame.with_columns(pl.lit("from elsewhere").alias(name) for name in names)


def missing(frame: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.DataFrame:
    """A share of all cells is missing."""
    return frame.with_columns(
        pl.when(pl.Series(rng.random(frame.height) >= share)).then(frame[name]).alias(name) for name in frame.columns
    )


ALTERATIONS: dict[str, tuple[Alter, tuple[float, ...]]] = {
    "shuffled cells": (shuffled, (0.1, 0.3, 1.0)),
    "sensor off": (sensor_off, (1.0, 3.0, 10.0)),
    "unseen categories": (unseen, (1, 2, 4)),
    "missing cells": (missing, (0.1, 0.3, 0.6)),
}


def world_of(name: str, path: Path | None, seed: int) -> World:
    """The rows of a table, in an order of the seed."""
    if name == "sim" or path is None:
        frame = sim_table(rows=ROWS + HELD, seed=seed).drop("ambiguity")
        return World(frame, frame.clear(), "label")
    if name == "adult":
        frame = pl.read_csv(path).with_columns(pl.col(pl.String).str.strip_chars())
        place, label = pl.col("native-country") == "United-States", "income"
        left_out = ["native-country"]
    else:
        frame = pl.read_parquet(path)
        place, label = pl.col("Wilderness_Area4") == 0, "Cover_Type"
        left_out = [column for column in frame.columns if column.startswith(("Wilderness_Area", "Soil_Type"))]
    frame = frame.sample(fraction=1.0, shuffle=True, seed=seed)
    home, away = frame.filter(place).drop(left_out), frame.filter(~place).drop(left_out)
    return World(home.head(ROWS + HELD), away.head(HELD // 2), label)


def trained(world: World, folder: Path, seed: int) -> TrainedModel:
    """A whole retrain by the command, on the rows that are not held out."""
    world.home.head(ROWS).write_parquet(folder / "rows.parquet")
    data = {"path": "rows.parquet", "label": world.label, "task": "classification"}
    training = {**SETTINGS["training"], "seed": seed}
    job = SETTINGS | {"data": data, "training": training, "registry": {"name": "elsewhere"}}
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    command = [sys.executable, "-m", "varjepa.flows.cli", "retrain", "job.yaml", "--json"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (assembled,) = (folder / "mlruns" / "work").glob("assemble-*/")
    return load_model(next(path.parent for path in assembled.rglob("network.safetensors")))


def scores(model: TrainedModel, directions: Directions, frame: pl.DataFrame) -> dict[str, Floats]:
    """Every measure of rows [N], larger = stranger or less sure."""
    table = model.encode(frame)
    found: dict[str, Floats] = {"anomaly": model.anomalies(frame)["anomaly"].to_numpy()}
    statistics = row_statistics(model, frame, directions)
    found |= {name: statistics[name].values for name in ("kl_sy", "surprise") if name in statistics}
    found |= {"minus ELBO": -statistics["elbo"].values} if "elbo" in statistics else {}
    if (measures := model.measures()) is not None:
        values = measures(table, embed(model.network, table), measures.available())
        found |= {name: value.cpu().numpy() for name, value in values.items()}
    return found


def compared(model: TrainedModel, world: World, seed: int) -> Iterator[dict[str, Any]]:
    """One record per alteration, severity and measure."""
    label = model.preprocessor.label
    if label is None:
        raise ValueError("the table has no label")
    held = world.home.tail(HELD)
    rows, features = held.head(HELD // 2), [name for name in held.columns if name != world.label]
    directions = principal_directions(model, model.encode(rows))
    here, right_here = scores(model, directions, rows), _right(model, rows, label)
    others = held.tail(HELD // 2)
    altered = [("none", 0.0, others)]
    for number, (kind, (alter, severities)) in enumerate(ALTERATIONS.items()):
        for severity in severities if alter is not unseen or pl.String in others.select(features).dtypes else ():
            changed = alter(others.select(features), severity, np.random.default_rng([seed, number]))
            altered.append((kind, severity, others.with_columns(changed.get_columns())))
    altered += [("another place", 1.0, world.away)] if world.away.height else []
    for kind, severity, frame in altered:
        there, right = scores(model, directions, frame), np.concatenate([right_here, _right(model, frame, label)])
        strange = np.arange(len(right)) >= rows.height
        for measure, values in here.items():
            both = np.concatenate([values, there[measure]])
            yield {"alteration": kind, "severity": severity, "measure": measure, "auroc": auroc(both, strange),
                   "accuracy": float(right.mean()),
                   "accuracy_80": 1 - risk_at(risk_coverage(both, 1.0 - right), COVERAGE)}  # fmt: skip


def _right(model: TrainedModel, frame: pl.DataFrame, label: Any) -> Bools:
    predicted: Bools = (model.predict(frame)["prediction"] == truth_of(frame, label)).fill_null(value=False).to_numpy()
    return predicted


def summary(records: pl.DataFrame) -> list[Figure]:
    """Means over tables, seeds and severities of each measure, the best detector first."""
    means = (
        records.filter(pl.col("alteration") != "none")
        .group_by("alteration", "measure").agg(pl.col("auroc", "accuracy_80").mean())
        .group_by("measure").agg(pl.col("auroc", "accuracy_80").mean())
        .sort("auroc", descending=True)
    )  # fmt: skip
    return [
        figure
        for measure, found, accuracy in means.iter_rows()
        for figure in (
            Figure(f"{measure}: tells altered rows from others", found, "AUROC"),
            Figure(f"{measure}: accuracy of the surest 80%", accuracy, "accuracy"),
        )
    ]


def main() -> None:
    """Parses the arguments, measures, and writes the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.elsewhere", description=__doc__)
    parser.add_argument(
        "tables", nargs="+", type=GivenTable.parsed, metavar="NAME=PATH", help="sim, adult=FILE or covertype=FILE"
    )
    parser.add_argument("--seeds", type=int, default=3, help="rows, encoders and alterations of their own")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    words = parser.parse_args()
    records: list[dict[str, Any]] = []
    for table in words.tables:
        for seed in range(words.seeds):
            with tempfile.TemporaryDirectory() as folder:
                world = world_of(table.name, table.path, seed)
                model = trained(world, Path(folder), seed)
                own = [{"table": table.name, "seed": seed} | record for record in compared(model, world, seed)]
            records += own
            print(table.name, seed, {record["measure"]: round(record["auroc"], 3) for record in own}, flush=True)
    frame = pl.DataFrame(records)
    words.out.mkdir(parents=True, exist_ok=True)
    frame.group_by("table", "alteration", "severity", "measure", maintain_order=True).agg(
        pl.col("auroc", "accuracy", "accuracy_80").mean().round(4)
    ).write_csv(words.out / "elsewhere.csv")
    command = f"python -m benchmarks.elsewhere {' '.join(map(str, words.tables))} --seeds {words.seeds}"
    publish("elsewhere", summary(frame), words.out, command=command)


if __name__ == "__main__":
    main()
