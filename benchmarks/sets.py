"""Whether intervals, prediction sets and certificates keep their promises, and how wide or large they are.

    python -m benchmarks.sets [NAME...] [--data FOLDER] [--seeds 5] [--splits 50] [--out FOLDER]

Names: california (numbers); sim, covertype, adult (classes). `covertype` and `adult` need the files
`covertype.parquet` and `adult.csv.gz` in FOLDER. Each table is retrained by the command line with a small network, for
each seed of the split and of training; the rows that are neither training nor validation rows are then divided into
calibration and test rows, many times at random. Figures are means over seeds and divisions. Boosted trees on raw
columns get their sets by the same procedure, on the same rows; the standard error of the difference is that over seeds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import yaml

from benchmarks.california_like import california_like
from benchmarks.harness import RESULTS, Figure, publish
from varjepa.data.encode.encoded import Part
from varjepa.data.encode.features import LABEL
from varjepa.data.read.sources import open_source
from varjepa.data.read.splits import PART, assign_parts
from varjepa.evaluation.arrays import Ints
from varjepa.evaluation.uncertainty.certificate import certify
from varjepa.evaluation.uncertainty.number_metrics import NumberRows
from varjepa.evaluation.uncertainty.prediction_sets import LabelledRows, fit_sets
from varjepa.evaluation.uncertainty.predictive import Arms, RowQuantiles, ValidationRows, choose_method, fit_rule
from varjepa.evaluation.uncertainty.set_metrics import covered, set_metrics
from varjepa.inference.calibration import measure_rows
from varjepa.inference.heads.boosted import fit_boosted
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.labelled import all_outputs
from varjepa.inference.model import TrainedModel
from varjepa.inference.number_calibration import PredictedRows, predicted_rows
from varjepa.tasks.registry.open_model import open_model

ROOT = Path(__file__).parents[1]
LEVEL, CERTIFICATES, COUNTED_ROWS = 0.9, 300, 200
SMALL: dict[str, Any] = {
    "model": {"d_hidden": 32, "n_layers": 3, "n_heads": 4, "d_feedforward": 64, "pred_n_layers": 2,
              "pred_d_feedforward": 64},
    "training": {"max_epochs": 6, "batch_size": 256, "lr": 2.0e-3, "warmup_epochs": 0.5},
    "generator": {"n_layers": 0},
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table to retrain on.

    Attributes:
        data: section of the configuration; `path` is added where `make` writes a file.
        make: writes the rows into a file, from the folder of data sets; None for rows that are built in.
    """

    data: dict[str, Any]
    make: Callable[[Path, Path], object] | None = None


TABLES = {
    "california": Table({"label": "price"}, lambda _, out: california_like().write_parquet(out)),
    "sim": Table({"name": "sim", "rows": 10_000, "label": "label", "drop": ["ambiguity"]}),
    "covertype": Table(
        {"label": "Cover_Type", "kinds": {"Cover_Type": "categorical"}},
        lambda data, out: pl.read_parquet(data / "covertype.parquet").sample(10_000, seed=0).write_parquet(out),
    ),
    "adult": Table(
        {"label": "income"},
        lambda data, out: pl.read_csv(data / "adult.csv.gz").sample(20_000, seed=0).write_parquet(out),
    ),
}


def retrained(name: str, seed: int, data: Path, folder: Path) -> tuple[TrainedModel, pl.DataFrame]:
    """A model of a table by the command line, and the table's rows with their parts."""
    table, source = TABLES[name], folder / "rows.parquet"
    section = {"name": name, **table.data, "split": {"seed": seed}}
    if table.make is not None:
        table.make(data, source)
        section["path"] = str(source)
    config = SMALL | {"data": section, "registry": {"name": name}}
    config["training"] = config["training"] | {"seed": seed}
    (folder / "job.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "varjepa.flows.cli", "retrain", "job.yaml", "--json"]
    own = {"PYTHONPATH": str(ROOT), "PREFECT_HOME": f"{folder}/prefect"}
    done = subprocess.run(command, cwd=folder, env=os.environ | own, check=True, stdout=subprocess.PIPE, text=True)
    uri = json.loads(done.stdout.strip().splitlines()[-1])["model"]["uri"]
    model = open_model(uri, f"sqlite:///{folder}/mlruns/mlflow.db", "cpu")
    frame = open_source(model.config.data).frame.collect()
    return model, frame.with_columns(assign_parts(frame.lazy(), model.config.data.split))


def part_of(model: TrainedModel, frame: pl.DataFrame, *names: str) -> Part:
    """The rows of some parts as tensors."""
    rows, label = frame.filter(pl.col(PART).cast(pl.String).is_in(names)), model.preprocessor.label
    assert label is not None
    labels = rows.lazy().select(label.encode(rows.schema)).collect()[LABEL].fill_null(np.nan).to_numpy()
    return Part(model.encode(rows), torch.tensor(labels), np.arange(rows.height))


def divisions(rows: int, calibration: int, splits: int) -> Iterator[tuple[Ints, Ints]]:
    """Random calibration rows and all others."""
    for split in range(splits):
        order = np.random.default_rng([split, 99]).permutation(rows)
        yield order[:calibration], order[calibration:]


def numbers(model: TrainedModel, frame: pl.DataFrame, splits: int) -> dict[str, float]:
    """Coverage and width of intervals, those of plain split conformal, and how often certificates break."""
    validation, pool = (predicted_rows(model, part_of(model, frame, *names))
                        for names in (("validation",), ("calibration", "test")))  # fmt: skip
    size = int((frame[PART].cast(pl.String) == "calibration").sum())
    choice = choose_method(ValidationRows(validation.maps, validation.labels), LEVEL)
    found: dict[str, list[float]] = {}
    for held, rest in divisions(len(pool.labels), size, splits):
        for name, wanted in (("chosen", choice), ("plain", ("split", Arms(), ""))):
            maps = pool.maps[wanted[0]]
            rule = fit_rule(wanted, _taken(maps, held), pool.labels[held], LEVEL)
            assert rule is not None
            low, high = rule.interval(_taken(maps, rest))
            inside = (low <= pool.labels[rest]) & (pool.labels[rest] <= high)
            found.setdefault(f"{name}_coverage", []).append(inside.mean())
            found.setdefault(f"{name}_width", []).append((high - low).mean())
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return means | _certified(model, validation, pool, size)


def _taken(maps: RowQuantiles, rows: Ints) -> RowQuantiles:
    return RowQuantiles(maps.scale, maps.values[rows])


def _certified(model: TrainedModel, validation: PredictedRows, pool: PredictedRows, size: int) -> dict[str, float]:
    """How often accepted rows are within the tolerance less often than promised, and how many are accepted.

    Calibration rows are drawn from all rows of both parts, which are the population that a promise is about. Judged by
    the rows that were not drawn, too: they are worse where the drawn ones are better, and vary by themselves.
    """
    assert model.intervals is not None
    section, rule, broken, kept = model.config.uncertainty, model.intervals.rule, Counter[str](), []
    tolerance = model.intervals.tolerance
    other, rows = validation.ranked(rule).ranked(tolerance), pool.ranked(rule)
    for held, rest in divisions(len(rows.error), size, CERTIFICATES):
        calibration = NumberRows(rows.uncertainty[held], rows.error[held]).ranked(tolerance)
        certificate = certify(calibration, other, accuracy=section.accuracy, confidence=section.confidence)
        accept = rows.uncertainty <= (-np.inf if certificate.threshold is None else certificate.threshold)
        right = np.abs(rows.error) <= tolerance
        broken["others"] += bool(accept.any()) and right[rest][accept[rest]].mean() < section.accuracy
        broken["all"] += bool(accept.any()) and right[accept].mean() < section.accuracy
        kept.append(accept.mean())
    shares = {"certificate_broken": broken["all"], "certificate_broken_on_others": broken["others"]}
    return {name: count / CERTIFICATES for name, count in shares.items()} | {
        "certificate_coverage": float(np.mean(kept))
    }


def classes(model: TrainedModel, frame: pl.DataFrame, splits: int) -> dict[str, float]:
    """Coverage of all rows and of classes, size and size-stratified coverage of sets; and those of boosted trees."""
    validation, pool = (part_of(model, frame, *names) for names in (("validation",), ("calibration", "test")))
    size = int((frame[PART].cast(pl.String) == "calibration").sum())
    head = [measure_rows(model, part, []).labelled for part in (validation, pool)]
    trees = _boosted(model, part_of(model, frame, "train"), (validation, pool))
    found: dict[str, list[float]] = {}
    for name, (choosing, rows) in (("head", head), ("boosted", trees)):
        for held, rest in divisions(len(rows.labels), size, splits):
            rule = fit_sets(choosing, _rows(rows, held), LEVEL)
            test = _rows(rows, rest)
            sets = rule.sets(test.probabilities)
            right, counts = covered(sets, test.labels), np.bincount(test.labels)
            for metric, value in set_metrics(sets, test.labels).items():
                found.setdefault(f"{name}_{metric}", []).append(value)
            for number in np.flatnonzero(counts > COUNTED_ROWS):
                found.setdefault(f"{name}_class{number}", []).append(right[test.labels == number].mean())
        found[f"{name}_accuracy"] = [float((rows.probabilities.argmax(1) == rows.labels).mean())]
    gains = np.array(found["head_sscs"]) - np.array(found["boosted_sscs"])
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return means | {"sscs_gain": float(gains.mean()), "sscs_better": float((gains > 0).mean())}


def _rows(rows: LabelledRows, index: Ints) -> LabelledRows:
    return LabelledRows(rows.probabilities[index], rows.labels[index])


def _boosted(model: TrainedModel, train: Part, parts: Sequence[Part]) -> list[LabelledRows]:
    """Probabilities of boosted trees on raw columns, fitted on the training rows, for the rows of other parts."""
    held = np.random.default_rng(0).random(len(train.labels)) < 0.2  # says when to stop
    empty = torch.zeros(len(train.labels), 0)
    assert model.preprocessor.label is not None
    n_classes = len(model.preprocessor.label.classes)
    head = fit_boosted(HeadRows(empty, train.table), train.labels, "raw", None, n_classes=n_classes, held=held, seed=0)
    outputs = [all_outputs(head, HeadRows(torch.zeros(len(part.labels), 0), part.table)) for part in parts]
    return [
        LabelledRows(torch.from_numpy(output).softmax(1).numpy(), part.labels.long().numpy())
        for output, part in zip(outputs, parts, strict=True)
    ]


def figures(name: str, values: dict[str, float]) -> list[Figure]:
    """The values in words, with what was asked."""
    asked = {"chosen_coverage": "0.88 to 0.92", "chosen_width": f"at most {values.get('plain_width', 0):.4g}",
             "certificate_broken": "at most 0.1", "head_coverage": "0.88 to 0.92",
             "head_sscs": f"above {values.get('boosted_sscs', 0):.4f}", "sscs_gain": "above 0"}  # fmt: skip
    return [
        Figure(f"{name}: {key.replace('_', ' ')}", round(value, 4), "",
               asked=asked.get(key, "0.88 to 0.92" if key.startswith("head_class") else ""))
        for key, value in values.items()
    ]  # fmt: skip


def main() -> None:
    """Parses the arguments, retrains, divides, prints the table and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TABLES))
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--splits", type=int, default=50, help="divisions, of all seeds together")
    parser.add_argument("--out", type=Path, default=RESULTS)
    words = parser.parse_args()
    for name in words.names or TABLES:
        found = []
        for seed in range(words.seeds):
            with tempfile.TemporaryDirectory() as folder:
                model, frame = retrained(name, seed, words.data.resolve(), Path(folder))
                measure = numbers if not model.preprocessor.label or not model.preprocessor.label.classes else classes
                found.append(measure(model, frame, words.splits // words.seeds))
        means = {key: float(np.mean([each[key] for each in found if key in each])) for key in found[0]}
        if "sscs_gain" in means and words.seeds > 1:
            means["sscs_gain_error"] = float(np.std([each["sscs_gain"] for each in found], ddof=1) / words.seeds**0.5)
        publish(f"sets_{name}", figures(name, means), words.out, command=f"python -m benchmarks.sets {name}")


if __name__ == "__main__":
    main()
