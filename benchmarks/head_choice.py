"""What the choice of the head costs: the loss of what ships against every candidate's, over many splits of one table.

    python -m benchmarks.head_choice [adult=adult.csv.gz] [covertype=covertype.parquet] [--rows 1000,3000]
        [--splits 10] [--keep outputs]

A small encoder is trained once per table, without labels: on 8,000 rows that no head sees, or, of scikit-learn's
tables, on all. Each split draws rows for training (60%), validation (10%) and testing (8,000 others at most), and fits
all heads. Their outputs are kept as files, so that a rule is tried in seconds. The rule that ships, and the one before
(commit cab9684, but for smoothed labels of stacked heads), choose by training and validation rows; test rows measure.
Writes `results/head_choice.json`.
"""

import argparse
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import Tensor

from benchmarks.california_like import LABEL as PRICE
from benchmarks.california_like import california_like
from benchmarks.harness import RESULTS, Figure, GivenTable, publish
from benchmarks.heads import ENCODER, _paired
from benchmarks.overhead import pretrained_alone
from varjepa.config import parse_config
from varjepa.config.heads import FEATURES, HEAD, ProbeSection
from varjepa.data.encode.features import LABEL
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.gate.paired_tests import p_worse
from varjepa.evaluation.uncertainty.calibration import fit_temperature
from varjepa.inference.heads.candidates import BASELINES, READ, Fitting
from varjepa.inference.heads.choice import TRANSFORMS, choose_head
from varjepa.inference.heads.head import Head, name_of
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.label_transform import TRANSFORM
from varjepa.inference.heads.labelled import HeadData, all_outputs, folds_of
from varjepa.inference.heads.stacked import StackedHead, combined, comparable, stacking_weights
from varjepa.inference.heads.unseen import Unseen
from varjepa.models.embedding import embed

ENCODED_ROWS, TEST_ROWS = 8000, 8000
"""Rows of a large table that train the encoder, and test rows at most."""

MOST_ROWS = 50_000
"""Of a large table, drawn at random."""

BUILT_IN = ("breast_cancer", "digits", "wine", "diabetes")
"""Tables of scikit-learn; of these all rows are drawn from."""

NAMED = {f"{kind} on {features}": (kind, features) for kind, read in READ.items() for features in read}
"""Kind and features of every candidate, by its name."""

NO_COLUMNS = Preprocessor(numeric=(), categorical=(), order=(), label=None, left_out={})


def table_of(name: str, path: Path | None) -> tuple[pl.DataFrame, str]:
    """A table in random order, and its label."""
    if name in BUILT_IN:
        from sklearn import datasets

        found = getattr(datasets, f"load_{name}")()
        labels = [f"k{value}" for value in found.target] if name != "diabetes" else found.target
        frame, label = pl.DataFrame(found.data).with_columns(pl.Series("y", labels)), "y"
    elif name == "california":
        frame, label = california_like(30_000, seed=77), PRICE
    else:
        read = pl.read_parquet if str(path).endswith(".parquet") else pl.read_csv
        frame = read(str(path))
        label = {"adult": "income", "covertype": "Cover_Type"}[name]
        frame = frame.sample(min(MOST_ROWS, frame.height), seed=5, shuffle=True)
    return frame.sample(fraction=1, shuffle=True, seed=9), label


def embedded(name: str, path: Path | None) -> tuple[HeadData, Preprocessor]:
    """Rows that heads may be fitted on or measured by, with embeddings of an encoder that is trained here."""
    from varjepa.tasks.retrain.ingest import ingest
    from varjepa.tasks.retrain.preprocess import preprocess
    from varjepa.tasks.retrain.validate import check_contract

    frame, label = table_of(name, path)
    small = name in BUILT_IN
    pool = frame if small else frame[ENCODED_ROWS:]
    split = {"train": 0.8, "validation": 0.1, "calibration": 0.05, "seed": 0}
    more = {"max_epochs": 30, "batch_size": 64} if small else {"max_epochs": 3}
    task = {"task": "classification"} if name == "covertype" else {}
    with TemporaryDirectory() as folder, chdir(folder):
        (frame if small else frame[:ENCODED_ROWS]).write_parquet("table.parquet")
        data = {"path": "table.parquet", "label": label, "split": split} | task
        config = parse_config(ENCODER | {"data": data, "training": ENCODER["training"] | {"seed": 0} | more})
        snapshot = ingest.fn(config)
        prepared = preprocess.fn(check_contract.fn(snapshot, config).clean, snapshot.told(config))
        pretrained, preprocessor = pretrained_alone(prepared, config), Preprocessor.read(prepared.preprocessor)
        network = pretrained.network(preprocessor, config)
        encoded = preprocessor.encode(pool.lazy(), with_label=True).collect()
        table = to_tensors(encoded, preprocessor)
        flat = torch.cat([embed(network, table.rows(slice(start, start + 1024))).mean.flatten(1)
                          for start in range(0, pool.height, 1024)])  # fmt: skip
    return HeadData(HeadRows(flat, table), torch.tensor(encoded[LABEL].to_numpy().copy())), preprocessor


def fit_split(data: HeadData, preprocessor: Preprocessor, rows: int, seed: int, file: Path) -> None:
    """Fits every candidate on a split, and keeps outputs for training rows (left out), validation and test rows."""
    order = torch.from_numpy(np.random.default_rng([seed, 7]).permutation(len(data.labels)))
    ends = np.cumsum([round(0.6 * rows), round(0.1 * rows), TEST_ROWS])
    train, validation, test = (
        HeadData(data.rows.take(part), data.labels[part])
        for part in (order[start:end].sort().values for start, end in zip([0, *ends[:-1]], ends, strict=True))
    )
    n_classes = len(preprocessor.label.classes) if preprocessor.label else 0
    fitting = Fitting(train, validation, preprocessor, n_classes, ProbeSection(), seed)
    heads = list(fitting.simple())
    best = min(heads, key=lambda head: _mean_loss(all_outputs(head, validation.rows), validation.labels.numpy()))
    if fitting.is_skewed:
        heads += [fitting.transformed(best.kind, best.features, name) for name in TRANSFORMS]
    parts = {"train": train, "val": validation, "test": test}
    arrays: dict[str, Any] = {f"y{name}": part.labels.numpy() for name, part in parts.items()}
    for head in heads:
        arrays[f"oof/{name_of(head)}"] = fitting.held_out(head)
        arrays |= {f"{part}/{name_of(head)}": all_outputs(head, parts[part].rows) for part in ("val", "test")}
    np.savez_compressed(file, **arrays)


@dataclass(frozen=True)
class Recorded:
    """A head that was fitted before: it looks up its output by the number of the row, which is the embedding here."""

    kind: HEAD
    features: FEATURES
    label: str
    values: Floats

    def outputs(self, rows: HeadRows) -> Tensor:
        """Logits, or values."""
        return torch.from_numpy(self.values[rows.flat[:, 0].long().numpy()])

    def tensors(self) -> dict[str, Tensor]:
        """None."""
        return {}

    def facts(self) -> dict[str, Any]:
        """The transformation of its label."""
        return {"transform": {"name": self.label}} if self.label else {}

    @classmethod
    def of(cls, name: str, values: Floats) -> "Recorded":
        """A head of this name (`name_of`)."""
        plain, _, label = name.partition(", label by ")
        return cls(*NAMED[plain], label, values)


@dataclass
class RecordedFitting(Fitting):
    """All heads of a split, those of transformed labels among them."""

    of_labels: dict[str, Head] = field(default_factory=dict)

    def transformed(self, kind: HEAD, features: FEATURES, name: TRANSFORM) -> Head:  # noqa: ARG002 (one was fitted)
        """As it was fitted; the best head by validation rows, whatever is asked for."""
        return self.of_labels[name]

    @property
    def is_skewed(self) -> bool:
        """Whether there are such heads."""
        return bool(self.of_labels)


def recorded(file: Path) -> tuple[RecordedFitting, HeadData]:
    """The heads of a split, and test rows."""
    arrays, parts, start = np.load(file), [], 0
    for name in ("ytrain", "yval", "ytest"):
        labels, empty = torch.from_numpy(arrays[name]), torch.zeros(len(arrays[name]), 0)
        numbers = torch.arange(start, start + len(labels), dtype=torch.float64)[:, None]
        parts.append(HeadData(HeadRows(numbers, TableTensors(empty, empty.long(), empty.bool())), labels))
        start += len(labels)
    names = [key.removeprefix("val/") for key in arrays.files if key.startswith("val/")]
    heads = {name: Recorded.of(name, np.concatenate([arrays[f"{part}/{name}"] for part in ("oof", "val", "test")]))
             for name in names}  # fmt: skip
    width = next(iter(heads.values())).values.shape[1]
    fitting = RecordedFitting(
        parts[0], parts[1], NO_COLUMNS, width if width > 1 else 0, ProbeSection(), 0,
        fitted={(head.kind, head.features): head for head in heads.values() if not head.label},
        left_out={name: arrays[f"oof/{name}"] for name in names},
        of_labels={head.label: head for head in heads.values() if head.label},
    )  # fmt: skip
    return fitting, parts[2]


def before(fitting: RecordedFitting) -> tuple[Head, float]:
    """The head by the rule before, and its temperature."""
    truth, rows = fitting.validation.labels.double().numpy(), fitting.validation.rows
    labels = np.concatenate([fitting.train.labels.double().numpy(), truth])
    simple = {(head.kind, head.features): head for head in fitting.simple()}
    heads = [*simple.values(), *fitting.of_labels.values()]
    outputs = [all_outputs(head, rows) for head in heads]

    def mean(head: Head) -> float:
        if len(truth) >= 1000:
            return _mean_loss(all_outputs(head, rows), truth)
        return _mean_loss(np.concatenate([fitting.held_out(head), all_outputs(head, rows)]), labels)

    best = min((simple[key] for key in BASELINES), key=mean)
    losses = _losses(all_outputs(best, rows), truth)
    weights = stacking_weights([comparable(torch.from_numpy(output)).numpy() for output in outputs], truth)
    folds, mixed = folds_of(len(truth), None, fitting.seed), np.zeros_like(outputs[0])
    for fold in np.unique(folds):
        held = folds == fold
        others = stacking_weights([comparable(torch.from_numpy(o[~held])).numpy() for o in outputs], truth[~held])
        mixed[held] = combined(others, [output[held] for output in outputs])
    stacked = StackedHead(tuple(heads), tuple(map(float, weights)))
    complex_heads = [(head, _losses(all_outputs(head, rows), truth)) for head in heads
                     if (head.kind, head.features) not in BASELINES or head.facts()]  # fmt: skip
    complex_heads.append((stacked, _losses(mixed, truth)))
    for head, found in complex_heads:
        if found.mean() < losses.mean() and p_worse(found - losses) <= 0.05 / len(complex_heads):
            best, losses = head, found
    return best, _sharpest(all_outputs(best, rows), truth)


def _sharpest(outputs: Floats, labels: Floats) -> float:
    """The temperature without smoothed labels, as it was."""
    if outputs.shape[1] == 1:
        return 1.0

    def loss(log_temperature: float) -> float:
        return float(_nats(outputs / np.exp(log_temperature), labels).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def _nats(logits: Floats, labels: Floats) -> Floats:
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels.astype(np.int64)]


def _losses(outputs: Floats, labels: Floats) -> Floats:
    """Log losses after the temperature that fits best, or squared errors."""
    if outputs.shape[1] == 1:
        return (outputs[:, 0] - labels) ** 2
    return _nats(outputs / _sharpest(outputs, labels), labels)


def _mean_loss(outputs: Floats, labels: Floats) -> float:
    return float(_losses(outputs, labels).mean())


class Measured(NamedTuple):
    """What a head is worth on test rows.

    Attributes:
        name: of the head.
        loss: log loss, or the share of the variance that is left.
        goodness: accuracy, or R2.
    """

    name: str
    loss: float
    goodness: float


def measured(head: Head, temperature: float, test: HeadData) -> Measured:
    """A head on test rows, its logits divided by a temperature."""
    outputs, labels = all_outputs(head, test.rows), test.labels.double().numpy()
    if outputs.shape[1] == 1:
        left = float(((outputs[:, 0] - labels) ** 2).mean() / labels.var())
        return Measured(name_of(head), left, 1 - left)
    right = float((outputs.argmax(1) == labels).mean())
    return Measured(name_of(head), float(_nats(outputs / temperature, labels).mean()), right)


def compared(file: Path) -> dict[str, Measured]:
    """What ships, what shipped before, every candidate, and the best of them."""
    fitting, test = recorded(file)
    unseen = Unseen(fitting)

    def found(head: Head) -> Measured:
        labels = unseen.labels.astype(np.int64)
        temperature = fit_temperature(unseen.outputs(head), labels) if fitting.n_classes else 1.0
        return measured(head, temperature, test)

    old, temperature = before(fitting)
    each = {name_of(head): found(head) for head in (*fitting.simple(), *fitting.of_labels.values())}
    return {
        "what ships": found(choose_head(fitting).head), "before": measured(old, temperature, test),
        "best in hindsight": min(each.values(), key=lambda one: one.loss), **each,
    }  # fmt: skip


def figures(files: Sequence[Path]) -> Iterator[Figure]:
    """Means over the splits of each table, what ships minus the others with 95% intervals, and how often what ships."""
    groups = defaultdict(list)
    for file in files:
        groups[file.stem.rpartition("_")[0].removesuffix("_0")].append(compared(file))
    for table, splits in groups.items():
        print(table, len(splits))
        yield Figure(f"{table}: splits", len(splits), "")
        for name in sorted(set.intersection(*(set(split) for split in splits))):
            for field_name, unit in (("loss", "loss"), ("goodness", "accuracy or R2")):
                values = [getattr(split[name], field_name) for split in splits]
                yield Figure(f"{table}: {name}, {unit}", statistics.mean(values), unit)
                if name in ("before", "best in hindsight", "boosted on raw"):
                    ours = [getattr(split["what ships"], field_name) for split in splits]
                    differences = [one - other for one, other in zip(ours, values, strict=True)]
                    yield from _paired(f"{table}: what ships minus {name}, {unit}", differences)
        for rule in ("what ships", "before"):
            for name, count in Counter(split[rule].name for split in splits).items():
                yield Figure(f"{table}: {rule} is {name}", count, "splits")


def main() -> None:
    """Parses the arguments, fits what is not kept yet, and writes the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.head_choice", description=__doc__)
    parser.add_argument("tables", nargs="*", type=GivenTable.parsed, metavar="NAME[=PATH]", help="to draw rows from")
    parser.add_argument("--rows", default="1000,3000", help="rows of which 70% train and validate, by commas")
    parser.add_argument("--splits", type=int, default=10, help="at least 2")
    parser.add_argument("--keep", type=Path, default=Path("outputs"), help="folder of the heads' outputs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    words = parser.parse_args()
    words.keep.mkdir(parents=True, exist_ok=True)
    for table in words.tables:
        sizes = [0] if table.name in BUILT_IN else [int(rows) for rows in words.rows.split(",")]
        wanted = [(rows, seed, words.keep / f"{table.name}_{rows}_{seed}.npz") for rows in sizes
                  for seed in range(words.splits)]  # fmt: skip
        if all(file.exists() for *_, file in wanted):
            continue
        data, preprocessor = embedded(table.name, table.path)
        for rows, seed, file in wanted:
            if not file.exists():
                fit_split(data, preprocessor, rows or len(data.labels), seed, file)
                print(file, flush=True)
    given = " ".join(str(table) for table in words.tables)
    command = f"python -m benchmarks.head_choice {given} --rows {words.rows} --splits {words.splits}"
    publish("head_choice", list(figures(sorted(words.keep.glob("*.npz")))), words.out, command=command)


if __name__ == "__main__":
    main()
