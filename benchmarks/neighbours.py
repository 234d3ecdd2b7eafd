"""Whether nearest rows share the label: compact vectors against raw columns and skrub's TableVectorizer.

    python -m benchmarks.neighbours adult=adult.csv.gz covertype=covertype.parquet [--seeds 5] [--home FOLDER]

Per seed a split and an encoder of configs/NAME.yaml, which sees no label. Each test row asks for its ten nearest
training rows; what counts is the share of them that have its label. Adult is trained for at most three passes. Encoders
are kept in FOLDER. Prints a table, writes results/neighbours.json, and draws docs/figures/neighbours.png. About an hour
of one core.
"""

import argparse
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.harness import RESULTS, facts
from benchmarks.overhead import Unlogged
from varjepa.config import RetrainConfig, load_config
from varjepa.data.encode.encoded import Part, read_part
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.inference.heads.inputs import RawColumns
from varjepa.inference.vectors.compact import CompactBasis
from varjepa.inference.vectors.fitting import fit_compact
from varjepa.models.embedding import embed
from varjepa.models.network import TableNetwork
from varjepa.models.new_network import new_network
from varjepa.models.weights import NETWORK, read_tensors
from varjepa.plots.style import COLORS, panels
from varjepa.tasks.retrain import pretrain
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.preprocess import Prepared, preprocess
from varjepa.tasks.retrain.validate import check_contract
from varjepa.training.distributed import World

NEIGHBOURS = 10
CONFIGS, FIGURE = Path("configs"), Path("docs/figures/neighbours.png")
SHORTER = {"adult": ["training.max_epochs=3"]}
SETS = {
    "vectors": "compact vectors, 64 numbers",
    "raw": "raw: numbers standardised, categories one-hot",
    "scaled": "raw: every such column standardised",
    "skrub": "TableVectorizer, standardised",
}
Floats = NDArray[np.floating[Any]]
Parts = dict[str, Floats]
"""Rows of train and test as points."""


@dataclass(frozen=True)
class Encoder:
    """A trained encoder and the rows of its split."""

    preprocessor: Preprocessor
    network: TableNetwork
    prepared: Prepared

    def part(self, name: str) -> Part:
        """Encoded rows of a part that have a label."""
        return read_part(self.prepared.encoded, self.preprocessor, name).labelled()


def encoder(name: str, path: str, seed: int, home: Path) -> Encoder:
    """Trains an encoder, unless its weights are in `home`."""
    words = [f"data.path={path}", f"data.split.seed={seed}", f"training.seed={seed}", *SHORTER.get(name, [])]
    config: RetrainConfig = load_config(CONFIGS / f"{name}.yaml", words)
    snapshot = ingest.fn(config)
    clean, config = check_contract.fn(snapshot, config).clean, snapshot.told(config)
    prepared, folder = preprocess.fn(clean, config), home / f"{name}-{seed}"
    config = prepared.sized(config)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / NETWORK).is_file():
        job = pretrain.Job(prepared.encoded, prepared.preprocessor, folder / "training", "no run")
        job.folder.mkdir(exist_ok=True)
        pretrained = pretrain.train(job, config, World(), Unlogged())  # type: ignore[arg-type]  # logs nothing
        shutil.copy(pretrained.weights, folder / NETWORK)
    preprocessor = Preprocessor.read(prepared.preprocessor)
    network = new_network(preprocessor.sizes, config)
    network.load_state_dict(read_tensors(folder / NETWORK))
    return Encoder(preprocessor, network.eval(), prepared)


def agreement(points: Parts, labels: dict[str, torch.Tensor]) -> float:
    """Share of the ten nearest training rows that have the label of the test row, on average."""
    train, shares = torch.from_numpy(points["train"]), []
    for rows in torch.arange(len(points["test"])).split(500):
        nearest = torch.cdist(torch.from_numpy(points["test"][rows.numpy()]), train).topk(NEIGHBOURS, largest=False)
        shares.append((labels["train"][nearest.indices] == labels["test"][rows][:, None]).double().mean(1))
    return float(torch.cat(shares).mean())


def vectors(made: Encoder, parts: dict[str, Part]) -> tuple[Parts, CompactBasis]:
    """Compact vectors, fitted and chosen without a label or a test row."""
    validation = read_part(made.prepared.encoded, made.preprocessor, "validation").table
    basis = fit_compact(made.network, parts["train"].table, validation)
    points = {}
    for name, part in parts.items():
        rows = torch.arange(part.table.n_rows).split(2048)
        pieces = [basis.project(embed(made.network, part.table.rows(each)).mean.flatten(1)) for each in rows]
        points[name] = torch.cat(pieces).numpy()
    return points, basis


def raw(made: Encoder, parts: dict[str, Part]) -> Parts:
    """Numbers standardised (skewed ones by normal scores), categories one-hot."""
    columns = RawColumns(made.preprocessor, warped=True)
    return {name: columns(part.table).numpy() for name, part in parts.items()}


def scaled(points: Parts) -> Parts:
    """Every column with a standard deviation of 1 in the training rows; missing cells are their mean."""
    scaler = make_pipeline(SimpleImputer(), StandardScaler()).fit(points["train"])
    return {name: scaler.transform(values).astype(np.float32) for name, values in points.items()}


def skrub_points(made: Encoder, parts: dict[str, Part]) -> Parts:
    """What skrub's TableVectorizer makes of the raw columns, standardised."""
    from skrub import TableVectorizer

    frames = {}
    for name, part in parts.items():
        frame = made.prepared.raw(name).select(made.preprocessor.columns).collect()
        every = read_part(made.prepared.encoded, made.preprocessor, name)
        frames[name] = frame.filter(pl.Series(np.isin(every.rows, part.rows))).to_pandas()
    vectorizer = TableVectorizer().fit(frames["train"])
    return scaled({name: np.asarray(vectorizer.transform(frame), dtype=np.float32) for name, frame in frames.items()})


def measured(name: str, path: str, seed: int, home: Path) -> dict[str, Any]:
    """The agreement of every set of points, for one split and encoder."""
    made = encoder(name, path, seed, home)
    parts = {part: made.part(part) for part in ("train", "test")}
    labels = {part: rows.labels for part, rows in parts.items()}
    points, basis = vectors(made, parts)
    plain = raw(made, parts)
    others: dict[str, Callable[[], Parts]] = {
        "vectors": lambda: points, "raw": lambda: plain, "scaled": lambda: scaled(plain),
        "skrub": lambda: skrub_points(made, parts),
    }  # fmt: skip
    found = {key: round(agreement(make(), labels), 5) for key, make in others.items()}
    shape = {"power": basis.shape.power, "whitening": basis.shape.whitening, "recovered": round(basis.recovered, 4)}
    print(name, seed, found, shape, flush=True)
    return {"dataset": name, "seed": seed, "agreement": found, "shape": shape}


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean, and half the width of its 95% interval around it."""
    mean, half = float(np.mean(values)), 0.0
    if len(values) > 1:
        half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return mean, mean - half, mean + half


def compared(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds, and gains of the vectors in pairs."""
    rows = []
    for dataset in dict.fromkeys(run["dataset"] for run in runs):
        found = [run["agreement"] for run in runs if run["dataset"] == dataset]
        for key in SETS:
            mean, low, high = interval([one[key] for one in found])
            gain = interval([one["vectors"] - one[key] for one in found])
            rows.append({"dataset": dataset, "points": key, "seeds": len(found), "mean": mean, "low": low, "high": high,
                         "gain": gain[0], "gain_low": gain[1], "gain_high": gain[2]})  # fmt: skip
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """One panel per data set: agreement with its interval over seeds."""
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    with panels(1, len(datasets), size=(4.6, 2.4)) as (figure, axes):
        for axis, dataset in zip(axes, datasets, strict=True):
            shown = [row for row in rows if row["dataset"] == dataset][::-1]
            for place, row in enumerate(shown):
                ends = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
                color = COLORS[0] if row["points"] == "vectors" else COLORS[4]
                axis.errorbar(row["mean"], place, xerr=ends, fmt="o", color=color, capsize=3)
            axis.set_yticks(range(len(shown)), [SETS[row["points"]] for row in shown])
            axis.set(title=dataset, xlabel="share with the same label", ylim=(-0.6, 3.6))
            axis.yaxis.set_visible(axis is axes[0])
    figure.savefig(path)


def main() -> None:
    """Parses the arguments, measures, and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.neighbours", description=__doc__)
    parser.add_argument("tables", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--home", type=Path, default=Path("mlruns/neighbours"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    words = parser.parse_args()
    tables = dict(table.split("=", 1) for table in words.tables)
    runs = [measured(name, path, seed, words.home) for name, path in tables.items() for seed in range(words.seeds)]
    rows = compared(runs)
    for row in rows:
        gain = f"{row['gain']:+.4f} ({row['gain_low']:+.4f} to {row['gain_high']:+.4f})"
        print(f"{row['dataset']:10} {SETS[row['points']]:46} {row['mean']:.4f}  vectors gain {gain}")
    content = facts() | {"command": "python -m benchmarks.neighbours", "runs": runs, "rows": rows}
    words.out.mkdir(parents=True, exist_ok=True)
    (words.out / "neighbours.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    draw(rows, FIGURE)


if __name__ == "__main__":
    main()
