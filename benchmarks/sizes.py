"""What an encoder's size buys: accuracy, selective accuracy, imputation and cost over layers, width, masks and passes.

    python -m benchmarks.sizes {sim,covertype,adult} [--data PATH] [--stage sizes,seeds] [--seeds 3]

Trains encoders of several sizes with the settings of `configs/NAME.yaml`, each to its last epoch, and measures them on
validation rows; test rows are not looked at. Seeds change weights, batches and masks, not the split. Every finished run
is added to `results/sizes_NAME.json`, and a run that is there is not repeated.
"""

import argparse
import json
import tempfile
import time
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.harness import RESULTS, facts
from benchmarks.size_points import Point, points_of, settings_of
from benchmarks.size_trials import AVERAGED, CHANGES, Average
from varjepa.config import RetrainConfig, load_config, parse_config
from varjepa.data.encode.encoded import Part, read_sample
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.table import TableSizes, TableTensors
from varjepa.evaluation.hidden_cells import ROWS, HiddenCells
from varjepa.evaluation.probe import fit_probe
from varjepa.evaluation.uncertainty.metrics import Classified, calibration_metrics, uncertainty_metrics
from varjepa.models.embedding import embed, row_uncertainty
from varjepa.models.network import TableNetwork
from varjepa.models.new_network import new_network
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.preprocess import preprocess
from varjepa.training.device import keep_memory
from varjepa.training.loop import Trainer

CONFIGS = Path(__file__).parents[1] / "configs"

DATA: dict[str, dict[str, Any]] = {
    "sim": {"rows": 17_500, "split": {"train": 0.4, "validation": 0.4, "calibration": 0.0}},
    "covertype": {"rows": 17_500, "split": {"train": 0.4, "validation": 0.4, "calibration": 0.0}},
    "adult": {"split": {"train": 0.6, "validation": 0.2, "calibration": 0.0}},
}
"""As many training rows as the published tables have, and more validation rows, so that small differences show."""

L2 = 1e-3
"""Ridge penalty of the probe."""

TIMED_ROWS, TURNS = 4096, 3
"""Rows embedded for the rate of embedding, and how often; the fastest time counts."""

KEPT = ("selective/accuracy_80", "selective/aurc", "selective/failure_auroc", "selective_msp/accuracy_80",
        "selective_msp/aurc", "selective_msp/failure_auroc")  # fmt: skip


class Rows(NamedTuple):
    """The encoded rows of a study.

    Attributes:
        train: training rows with labels.
        validation: rows that are measured.
        sizes: of the table.
        n_classes: classes of the label.
    """

    train: Part
    validation: Part
    sizes: TableSizes
    n_classes: int


def job(name: str, path: str | None) -> RetrainConfig:
    """The configuration of a data set with the parts of this study."""
    config = load_config(CONFIGS / f"{name}.yaml")
    data = config.data.model_dump(mode="json") | DATA[name] | ({"path": path, "name": None} if path else {})
    content = config.model_dump(mode="json") | {"data": data, "contract": {}}
    return parse_config(content)


def encoded(config: RetrainConfig) -> Rows:
    """Reads, splits and encodes the table in the working folder."""
    snapshot = ingest.fn(config)
    prepared = preprocess.fn(snapshot.path, snapshot.told(config))
    preprocessor = Preprocessor.read(prepared.preprocessor)
    train, validation = (
        read_sample(prepared.encoded, preprocessor, part, most=10**9, seed=0, learnable=True)
        for part in ("train", "validation")
    )
    label = preprocessor.label
    return Rows(train, validation, preprocessor.sizes, 0 if label is None else len(label.classes))


def trained(config: RetrainConfig, rows: Rows, point: Point) -> tuple[TableNetwork, dict[str, float]]:
    """A network after its last epoch, or before its first one, and what training cost and reached."""
    network, training = new_network(rows.sizes, config), config.training
    if point.trial in CHANGES:
        CHANGES[point.trial](network)
    weights = sum(values.numel() for values in network.parameters())
    found = {"weights": float(weights), "training_seconds": 0.0, "epochs": 0.0}
    if point.passes == 0:
        return network, found
    average = Average(network) if point.trial == AVERAGED else None
    trainer = Trainer(
        network=network, tables=(rows.train.table, rows.validation.table), objective=config.objective,
        masking=config.masking, training=training,
    )  # fmt: skip
    started = time.process_time()
    history = trainer.fit(lambda _: None, lambda *_: None).history
    if average is not None:
        average.use()
    found |= {"training_seconds": time.process_time() - started, "epochs": float(training.max_epochs)}
    return network, found | {"elbo": history[-1]["validation/elbo"]}


def quality(network: TableNetwork, rows: Rows, aggregate: str) -> dict[str, float]:
    """Of the linear probe on the embedding, of both uncertainties, and of predictions of hidden cells."""
    inputs = embed(network, rows.train.table).mean.flatten(1)
    probe = fit_probe(inputs, rows.train.labels, n_classes=rows.n_classes, l2=L2)
    embedded = embed(network, rows.validation.table)
    probabilities = probe.predict(embedded.mean.flatten(1)).double().softmax(1).numpy()
    result = Classified.of(probabilities, rows.validation.labels.long().numpy())
    latent = None if embedded.scale is None else row_uncertainty(embedded.scale, aggregate).double().numpy()
    measured = uncertainty_metrics(result, latent)
    found = {"accuracy": float(1 - result.error.mean()), "log_loss": calibration_metrics(result)["nll"]}
    found |= {name: measured[name] for name in KEPT if name in measured}
    train, held = (part.table.rows(slice(ROWS)) for part in (rows.train, rows.validation))
    errors = HiddenCells(train, rows.sizes).row_errors(network, held)
    return found | {"hidden_cells": float(errors.nanmean())}


def embedding_rate(network: TableNetwork, table: TableTensors) -> dict[str, float]:
    """Embedded rows per processor second, in both precisions."""
    part, rates = table.rows(slice(TIMED_ROWS)), {}
    for precision in (torch.float32, torch.bfloat16):
        network.precision, seconds = precision, list[float]()
        for _ in range(TURNS):
            started = time.process_time()
            embed(network, part)
            seconds.append(time.process_time() - started)
        rates[f"rows_per_second_{str(precision).removeprefix('torch.')}"] = part.n_rows / min(seconds)
    network.precision = torch.float32
    return rates


def measured(point: Point, config: RetrainConfig, rows: Rows) -> dict[str, Any]:
    """A run: its settings and what it reached."""
    settings = settings_of(point, config)
    network, found = trained(settings, rows, point)
    found |= quality(network, rows, config.uncertainty.aggregate) | embedding_rate(network, rows.validation.table)
    model = {key: value for key, value in settings.model.model_dump().items() if key != "kind"}
    return {"point": point._asdict(), "model": model, "commit": facts()["commit"]} | {"figures": found}


def study(name: str, path: str | None, points: list[Point], out: Path) -> None:
    """Measures the points that the result file lacks, and adds each to it."""
    config, file = job(name, path), out / f"sizes_{name}.json"
    command = f"python -m benchmarks.sizes {name}" + (f" --data {Path(path).name}" if path else "")
    runs = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.is_file() else []
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        rows: dict[int, Rows] = {}  # by the bins of their numbers
        for point in points:
            if any(Point(**run["point"]) == point for run in runs):
                continue
            if point.bins not in rows:
                rows[point.bins] = encoded(settings_of(point, config))
            own = rows[point.bins]
            runs.append(measured(point, config, own))
            print(name, point.words, {key: round(value, 4) for key, value in runs[-1]["figures"].items()}, flush=True)
            content = facts() | {"command": command, "rows": {"train": own.train.table.n_rows,
                                 "validation": own.validation.table.n_rows}, "runs": runs}  # fmt: skip
            file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Parses the arguments and measures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizes", description=__doc__)
    parser.add_argument("name", choices=tuple(DATA))
    parser.add_argument("--data", type=Path, help="file of the table; SIM needs none")
    parser.add_argument("--stage", help="only these stages of the design, separated by commas")
    parser.add_argument("--seeds", type=int, default=3, help="of the contenders")
    parser.add_argument("--most", type=int, help="only the first runs of these stages")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    words = parser.parse_args()
    keep_memory()
    path = str(words.data.resolve()) if words.data else None
    stages = words.stage.split(",") if words.stage else None
    points = points_of(words.name, words.seeds, stages)[: words.most]
    study(words.name, path, points, words.out.resolve())


if __name__ == "__main__":
    main()
