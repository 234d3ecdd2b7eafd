"""The head that ships against the linear probe and boosted trees on raw columns, and its uncertainty; several seeds.

    python -m benchmarks.heads [adult=adult.csv.gz] [covertype=covertype.parquet] [--seeds 5] [--rows 500]
        [--head stacked]

Every seed splits the rows anew (of Covertype it draws 10,000 anew), trains a small encoder, chooses heads and the
uncertainty measure on validation rows, and measures on test rows once. SIM and simulated house prices need no file.
With `--rows`, the table is small: so many rows are for training, validation and calibration, and 5,000 others for
testing; its encoder is what such a table gets by default. Writes `results/heads_NAME.json`, or
`heads_NAME_ROWS.json`, or with `--head` `heads_NAME_ROWS_HEAD.json`.
"""

import argparse
import statistics
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from scipy.stats import t as student

from benchmarks.california_like import LABEL, california_like
from benchmarks.harness import RESULTS, Figure, GivenTable, publish
from benchmarks.overhead import pretrained_alone
from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.uncertainty.paired_bootstrap import p_equal

if TYPE_CHECKING:
    from varjepa.inference.model import TrainedModel
    from varjepa.tasks.retrain.calibrate import Calibrated
    from varjepa.tasks.retrain.preprocess import Prepared
    from varjepa.tasks.retrain.probe import Probed

ENCODER: dict[str, Any] = {
    "model": {"d_hidden": 32, "n_layers": 3, "n_heads": 4, "d_feedforward": 64, "pred_n_layers": 2,
              "pred_d_feedforward": 64},
    "objective": {"weight_rec": 0.1, "kl_sx_final": 1e-4, "kl_z_final": 1e-6, "kl_sy_final": 1e-5},
    "training": {"optimizer": "adamw", "max_epochs": 3, "batch_size": 256, "lr": 2e-3, "warmup_epochs": 0.5},
}  # fmt: skip
"""Small, so that five seeds take minutes; published sizes give a better linear probe."""

DATA: dict[str, dict[str, Any]] = {
    "adult": {"label": "income", "rename": {"class": "income"}},
    "covertype": {"label": "Cover_Type", "task": "classification", "rows": 10_000},
    "california": {"label": LABEL},
    "sim": {"name": "sim", "rows": 10_000, "label": "label", "drop": ["ambiguity"]},
}
GROUPS = ("head", "probe", "raw", "boosted")

TEST_ROWS = 5000
"""Of a small table."""


class Trained(NamedTuple):
    """A job up to the calibrated model.

    Attributes:
        prepared: its rows.
        probed: predictions of test rows, metrics, and the head.
        calibrated: metrics of its uncertainty.
        model: what ships.
    """

    prepared: "Prepared"
    probed: "Probed"
    calibrated: "Calibrated"
    model: "TrainedModel"


def small(rows: int | None) -> dict[str, Any]:
    """Settings of a table of which so many rows are not for testing; none where it is not small."""
    if rows is None:
        return {}
    share = rows / (rows + TEST_ROWS)
    return {"rows": rows + TEST_ROWS, "split": {"train": 0.6 * share, "validation": 0.2 * share,
                                                "calibration": 0.2 * share}}  # fmt: skip


def trained(name: str, path: str | None, seed: int, rows: int | None = None, head: str = "auto") -> Trained:
    """Runs the steps of a retrain in the working folder, without a tracking store or a generator."""
    from varjepa.config import parse_config
    from varjepa.inference.storage import load_parts, model_parts
    from varjepa.tasks.retrain.calibrate import calibrate
    from varjepa.tasks.retrain.ingest import ingest
    from varjepa.tasks.retrain.preprocess import preprocess
    from varjepa.tasks.retrain.probe import probe
    from varjepa.tasks.retrain.validate import check_contract

    if name == "california":
        path = str(Path("california.parquet").resolve())
        california_like(seed=seed).write_parquet(path)
    data = DATA[name] | ({"path": path} if path else {}) | small(rows)
    data["split"] = data.get("split", {}) | {"seed": seed}
    encoder = ENCODER if rows is None else {"training": {}}
    training = encoder["training"] | {"seed": seed}
    config = parse_config(encoder | {"data": data, "training": training, "probe": {"head": head}})
    snapshot = ingest.fn(config)
    clean, config = check_contract.fn(snapshot, config).clean, snapshot.told(config)
    prepared = preprocess.fn(clean, config)
    config = prepared.sized(config)
    pretrained = pretrained_alone(prepared, config)
    probed = probe.fn(prepared, pretrained, config)
    calibrated = calibrate.fn(prepared, pretrained, probed, config)
    parts = model_parts(prepared.preprocessor.parent, pretrained.weights.parent, probed.folder, calibrated.folder)
    return Trained(prepared, probed, calibrated, load_parts(config, parts))


def measured(
    name: str, path: str | None, seed: int, rows: int | None, head: str
) -> tuple[dict[str, float], dict[str, Floats], str]:
    """Metrics of one seed on test rows, correctness or minus squared errors [N] per group, and the head's name."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        found = trained(name, path, seed, rows, head)
        each = {group: _goodness(pl.read_parquet(found.probed.predictions), group) for group in GROUPS}
    ships = found.probed.decisions["head"].partition(": ")[0]
    return found.probed.metrics | found.calibrated.metrics, each, ships


def _goodness(predictions: pl.DataFrame, group: str) -> Floats:
    """Whether rows are right, or minus their squared error [N]."""
    prefix = {"probe": "p"}.get(group, group)
    labelled = predictions.filter(pl.col("label").is_not_nan())
    outputs, labels = labelled.select(pl.col(rf"^{prefix}\d+$")).to_numpy(), labelled["label"].to_numpy()
    if outputs.shape[1] == 1:
        return -((outputs[:, 0] - labels) ** 2)
    return (outputs.argmax(1) == labels).astype(np.float64)


def figures(name: str, path: str | None, seeds: int, rows: int | None, head: str) -> list[Figure]:
    """Means over seeds, and differences with 95% intervals of Student's t over seeds."""
    runs = []
    for seed in range(seeds):
        runs.append(measured(name, path, seed, rows, head))
        print(name, seed, runs[-1][2], {k: round(v, 4) for k, v in runs[-1][0].items() if k.startswith(GROUPS)})
    unit = "accuracy" if "head/accuracy" in runs[0][0] else "r2"
    found = [Figure(f"{name}: {group}, {unit}", statistics.mean(run[0][f"{group}/{unit}"] for run in runs), unit)
             for group in GROUPS]  # fmt: skip
    for other in ("probe", "boosted"):
        found += _paired(
            f"{name}: head minus {other}, {unit}", [r[0][f"head/{unit}"] - r[0][f"{other}/{unit}"] for r in runs]
        )
        worse = sum(_worse(run[1]["head"], run[1][other]) for run in runs)
        found.append(Figure(f"{name}: seeds in which the head is significantly worse than {other}", worse, "seeds"))
    found += _uncertainty(name, [run[0] for run in runs])
    kinds = sorted({run[2] for run in runs})
    return [*found, *(Figure(f"{name}: ships {kind}", sum(r[2] == kind for r in runs), "seeds") for kind in kinds)]


def _uncertainty(name: str, runs: list[dict[str, float]]) -> list[Figure]:
    """Of what ships against the same head's maximum probability; none for numbers."""
    if "selective_msp/aurc" not in runs[0]:
        return []
    found = []
    for metric in ("failure_auroc", "aurc"):
        for group in ("selective_shipped", "selective_msp"):
            mean = statistics.mean(run[f"{group}/{metric}"] for run in runs)
            found.append(Figure(f"{name}: {group}, {metric}", mean, metric))
        gains = [run[f"selective_shipped/{metric}"] - run[f"selective_msp/{metric}"] for run in runs]
        found += _paired(f"{name}: what ships minus maximum probability, {metric}", gains)
    return found


def _paired(what: str, differences: list[float]) -> list[Figure]:
    reach = float(student.isf(0.025, len(differences) - 1)) * statistics.stdev(differences) / len(differences) ** 0.5
    mean = statistics.mean(differences)
    return [Figure(what, mean, ""), Figure(f"{what}, low", mean - reach, ""), Figure(f"{what}, high", mean + reach, "")]


def _worse(head: Floats, other: Floats) -> bool:
    return bool(head.mean() < other.mean() and p_equal(head[None], other[None]) < 0.05)


def main() -> None:
    """Parses the arguments, measures, and writes the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heads", description=__doc__)
    parser.add_argument(
        "tables", nargs="*", type=GivenTable.parsed, metavar="NAME=PATH", help="adult=FILE, covertype=FILE"
    )
    parser.add_argument("--only", help="names to measure, separated by commas")
    parser.add_argument("--seeds", type=int, default=5, help="at least 2")
    parser.add_argument("--rows", type=int, help="all but the test rows, of a small table")
    parser.add_argument("--head", default="auto", help="probe.head")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    words = parser.parse_args()
    tables = {table.name: table for table in (GivenTable("california", None), GivenTable("sim", None), *words.tables)}
    for name in words.only.split(",") if words.only else tables:
        path = tables[name].path
        given = f"{tables[name]} " if path else ""
        command = f"python -m benchmarks.heads {given}--only {name} --seeds {words.seeds}"
        more = {"rows": words.rows, "head": words.head if words.head != "auto" else None}
        command += "".join(f" --{key} {value}" for key, value in more.items() if value)
        found = figures(name, str(path) if path else None, words.seeds, words.rows, words.head)
        publish("_".join(["heads", name, *(str(value) for value in more.values() if value)]), found, words.out,
                command=command)  # fmt: skip


if __name__ == "__main__":
    main()
