"""False alarms of `varjepa drift` on unchanged rows of Adult, and its power to detect several changes.

    python -m benchmarks.drift ADULT.csv.gz [--trials 200] [--power 50] [--out FOLDER]

Trains a small model. Then, once per trial, it splits the calibration and test rows at random into a reference and a new
batch. So no row is in both, and none was trained on. Only the last figures of false alarms draw from the whole table,
with replacement, and compare with the reference of the model.
Some ten minutes on one core.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
from scipy.stats import binomtest

from benchmarks.harness import RESULTS, Figure, facts
from varjepa.config import load_config
from varjepa.data.read.sources import open_source
from varjepa.data.read.splits import PART, assign_parts
from varjepa.evaluation.drift.tests import Finding, find_drift
from varjepa.flows.retrain import retrain
from varjepa.inference.drift_counts import count_columns, subjects_of
from varjepa.inference.drift_reference import Counts, Profile
from varjepa.inference.model import TrainedModel
from varjepa.inference.row_statistics import RowValues, row_statistics
from varjepa.tasks.registry.open_model import open_model

CONFIG = Path(__file__).parents[1] / "configs" / "adult.yaml"
SMALL = (
    "model.d_hidden=32", "model.n_layers=3", "model.d_feedforward=64", "model.pred_d_feedforward=64",
    "generator.n_layers=2", "generator.max_steps=1000", "generator.assess_rows=0",
)  # fmt: skip
SIZES = (2000, 5000)
SHIFT, POINTS = 0.25, 0.10
LABEL = "income"

Statistics = Mapping[str, RowValues]


@dataclass(frozen=True)
class Rows:
    """Raw rows, and the model outputs for each."""

    frame: pl.DataFrame
    statistics: Statistics

    def take(self, index: np.ndarray) -> "Rows":
        """The rows at `index`."""
        values = {name: RowValues(one.values[index], one.names) for name, one in self.statistics.items()}
        return Rows(self.frame[index], values)

    def where(self, other: "Rows", mask: np.ndarray) -> "Rows":
        """These rows, with the rows of `other` where the mask is true."""
        frame = pl.concat([self.frame, other.frame])[
            np.where(mask, np.arange(len(mask)) + len(mask), np.arange(len(mask)))
        ]
        values = {
            name: RowValues(np.where(mask, other.statistics[name].values, one.values), one.names)
            for name, one in self.statistics.items()
        }
        return Rows(frame, values)


def told(model: TrainedModel, profile: Profile, frame: pl.DataFrame) -> Rows:
    """Computes the model outputs for rows, once for all trials."""
    return Rows(frame, row_statistics(model, frame, profile.directions))


def counts_of(model: TrainedModel, rows: Rows) -> Counts:
    """A reference from these rows."""
    columns, label = count_columns(model.preprocessor, rows.frame)
    statistics = {name: values.counted() for name, values in rows.statistics.items()}
    return Counts(columns=columns, label=label, statistics=statistics, quality={})


def found(model: TrainedModel, reference: Counts, new: Rows) -> list[Finding]:
    """The tests that report drift."""
    columns, label = count_columns(model.preprocessor, new.frame, reference)
    tests = find_drift(subjects_of(reference, columns, (LABEL, label), new.statistics), model.config.drift)
    return [one for one in tests if one.verdict == "drift"]


def trained(data: str) -> TrainedModel:
    """A small model of Adult, trained by the main flow in the working folder."""
    result = retrain(load_config(CONFIG, [f"data.path={Path(data).absolute()}", *SMALL]))
    uri = result["model"]["uri"]
    assert uri is not None
    return open_model(uri)


def rate(what: str, hits: int, trials: int, asked: str) -> Figure:
    """A share of trials, with its 95% interval (Clopper-Pearson) in words."""
    interval = binomtest(hits, trials).proportion_ci()
    words = f"{hits} of {trials}, 95% interval {interval.low:.3f} to {interval.high:.3f}; asked: {asked}"
    return Figure(what, hits / trials, "share", None, words)


def false_alarms(model: TrainedModel, pool: Rows, table: Rows, trials: int) -> list[Figure]:
    """Unchanged batches: held-out rows against other held-out rows, and the whole table against the model's
    reference.
    """
    figures, level = [], f"at most {model.config.drift.false_alarms:.2f}"
    for size in SIZES:
        hits = 0
        for trial in range(trials):
            order = np.random.default_rng([1, size, trial]).permutation(pool.frame.height)
            reference = counts_of(model, pool.take(order[size:]))
            hits += bool(found(model, reference, pool.take(order[:size])))
        figures.append(rate(f"false alarms, {size:,} held-out rows", hits, trials, level))
    assert model.profile is not None
    for size in SIZES:
        hits = 0
        for trial in range(trials):
            picks = np.random.default_rng([2, size, trial]).integers(table.frame.height, size=size)
            hits += bool(found(model, model.profile.counts, table.take(picks)))
        figures.append(rate(f"false alarms, {size:,} rows of the whole table with replacement", hits, trials, level))
    return figures


Change = Callable[[Rows, np.random.Generator], Rows]


def shifted(model: TrainedModel, profile: Profile, pool: Rows, column: str) -> Change:
    """Raises all values of a whole-number column by a quarter of its standard deviation, on average."""
    step = SHIFT * cast("float", pool.frame[column].std())
    noise = pl.Series(np.random.default_rng(3).random(pool.frame.height))
    moved = pool.frame.with_columns((pl.col(column) + step + noise).floor().cast(pl.Int64).alias(column))
    return _each(told(model, profile, moved), 1.0)


def remixed(model: TrainedModel, profile: Profile, pool: Rows, column: str, words: tuple[str, str]) -> Change:
    """Moves rows from one category to another until the share changes by ten points."""
    share = POINTS / cast("float", (pool.frame[column] == words[0]).fill_null(value=False).mean())
    moved = pool.frame.with_columns(pl.col(column).replace(*words))
    return _each(told(model, profile, moved), share)


def emptied(model: TrainedModel, profile: Profile, pool: Rows, column: str) -> Change:
    """Doubles the number of missing cells."""
    gaps = pool.frame[column].null_count() / pool.frame.height
    return _each(
        told(model, profile, pool.frame.with_columns(pl.lit(None, pl.String).alias(column))), gaps / (1 - gaps)
    )


def _each(changed: Rows, share: float) -> Change:
    """Changes a share of the rows of a batch; rows are given by their number in the pool."""

    def change(batch: Rows, rng: np.random.Generator) -> Rows:
        index = batch.frame["__index__"].to_numpy()
        return batch.where(changed.take(index), rng.random(len(index)) < share)

    return change


def shuffled(model: TrainedModel, profile: Profile) -> Change:
    """Shuffles every column of the batch separately: the values stay, their joint distribution is lost."""

    def change(batch: Rows, rng: np.random.Generator) -> Rows:
        columns = {name: batch.frame[name].gather(rng.permutation(batch.frame.height)) for name in batch.frame.columns}
        return told(model, profile, pl.DataFrame(columns))

    return change


def power(model: TrainedModel, profile: Profile, pool: Rows, trials: int) -> list[Figure]:
    """How often each change is detected, and how often by the right test. The new rows have no labels."""
    pool = told(model, profile, pool.frame.drop(LABEL).with_row_index("__index__"))
    few = ("Private", "Self-emp-not-inc")
    changes: dict[str, tuple[Change, str]] = {
        f"{column} shifted by {SHIFT} sd": (shifted(model, profile, pool, column), column)
        for column in ("age", "fnlwgt")
    }
    changes["workclass: mix changed by 10 points"] = (remixed(model, profile, pool, "workclass", few), "workclass")
    for column in ("workclass", "native-country"):
        changes[f"{column}: missingness doubled"] = (emptied(model, profile, pool, column), column)
    changes["values shuffled within columns"] = (shuffled(model, profile), "")
    figures = []
    for what, (change, column) in changes.items():
        for size in SIZES:
            hits = named = 0
            for trial in range(trials):
                rng = np.random.default_rng([4, size, trial])
                order = rng.permutation(pool.frame.height)
                reference = counts_of(model, pool.take(order[size:]))
                drifted = found(model, reference, change(pool.take(order[:size]), rng))
                hits += bool(drifted)
                names = {one.subject.name for one in drifted if one.subject.group == ("column" if column else "model")}
                named += column in names if column else bool(names)
            by = f"by {column}" if column else "by the model"
            figures.append(rate(f"{what}, {size:,} rows: found", hits, trials, "all"))
            figures.append(rate(f"{what}, {size:,} rows: found {by}", named, trials, "all"))
            print(figures[-1], flush=True)
    return figures


def main() -> None:
    """Parses the arguments, trains, runs the trials, prints and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--power", type=int, default=50)
    parser.add_argument("--out", type=Path, default=RESULTS)
    words = parser.parse_args()
    data, out, made = str(Path(words.data).absolute()), words.out.absolute(), facts()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        model = trained(data)
        os.chdir(out.parent)
    profile = model.profile
    assert profile is not None
    source = model.config.data
    frame = open_source(source).frame.rename(source.rename, strict=False).collect()
    parts = assign_parts(frame.lazy(), source.split).alias(PART)
    table = told(model, profile, frame)
    pool = table.take(np.flatnonzero(parts.is_in(["calibration", "test"]).to_numpy()))
    figures = false_alarms(model, pool, table, words.trials)
    for figure in figures:
        print(figure, flush=True)
    figures += power(model, profile, pool, words.power)
    for figure in figures:
        print(f"{figure.what:75} {figure.value:.3f}   {figure.asked}")
    content = made | {
        "command": f"python -m benchmarks.drift {Path(data).name}", "config": CONFIG.name, "overrides": SMALL,
        "held_out_rows": pool.frame.height, "figures": [asdict(figure) for figure in figures],
    }  # fmt: skip
    (out / "drift.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
