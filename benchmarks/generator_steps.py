"""What steps of the generator buy: loss of hidden cells on validation rows and processor time, by the number of steps.

    python -m benchmarks.generator_steps NAME [--data PATH --label COLUMN] [--rows N] [--steps 250,500,1000,2000]

Trains one network with the default settings and, on top of it, one generator for each number of steps; the learning
rate of each decays over its own steps. Test rows are not looked at. Every finished run is added to
`results/generator_steps.json`, and a run that is there is not repeated.
"""

import argparse
import json
import tempfile
import time
from contextlib import chdir
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS
from varjepa.config import RetrainConfig, parse_config
from varjepa.data.encode.encoded import read_sample
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.bars import Cells
from varjepa.data.tensors.table import TableTensors
from varjepa.inference.generator.fitting import cut_bars
from varjepa.models.network import TableNetwork
from varjepa.models.new_network import new_network
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.preprocess import preprocess
from varjepa.training.device import keep_memory
from varjepa.training.epoch_rows import HeldRows
from varjepa.training.generator import GeneratorTrainer
from varjepa.training.loop import Trainer

FILE = RESULTS / "generator_steps.json"

EPOCHS = 4
"""Epochs of the network: its tokens are what the generator reads, and they change little afterwards."""

Tables = tuple[TableTensors, TableTensors]


def job(name: str, path: str | None, label: str | None, rows: int | None) -> RetrainConfig:
    """A job with the default settings."""
    place = {"path": path, "label": label} if path else {"name": name, "label": "label", "drop": ["ambiguity"]}
    return parse_config({"data": {**place, "rows": rows}, "training": {"max_epochs": EPOCHS}})


def encoded(config: RetrainConfig) -> tuple[RetrainConfig, Preprocessor, Tables]:
    """Reads, splits and encodes the table in the working folder: training and validation rows."""
    snapshot = ingest.fn(config)
    config = snapshot.told(config)
    prepared = preprocess.fn(snapshot.path, config)
    config = prepared.sized(config)
    preprocessor = Preprocessor.read(prepared.preprocessor)
    train, validation = (
        read_sample(prepared.encoded, preprocessor, part, most=10**9, seed=0).table for part in ("train", "validation")
    )
    return config, preprocessor, (train, validation)


def trained(config: RetrainConfig, preprocessor: Preprocessor, tables: Tables) -> TableNetwork:
    """The network below the generators."""
    network = new_network(preprocessor.sizes, config)
    trainer = Trainer(
        network=network, tables=(HeldRows(tables[0]), tables[1]), objective=config.objective, masking=config.masking,
        training=config.training,
    )  # fmt: skip
    trainer.fit(lambda *_: None, lambda *_: None)
    return network.eval()


def measured(
    network: TableNetwork, config: RetrainConfig, preprocessor: Preprocessor, tables: Tables, steps: int
) -> dict[str, Any]:
    """Lowest loss on validation rows, in nats per hidden cell, the steps that were made, and processor seconds."""
    section = config.generator.model_copy(update={"max_steps": steps})
    bars = cut_bars(tables[0], section.n_bars, [feature.ends for feature in preprocessor.numeric])
    cells = Cells(bars, preprocessor.sizes.cardinalities)
    looks = list[tuple[int, float]]()
    began = time.process_time()
    trainer = GeneratorTrainer(
        network=network, cells=cells, tables=tables, section=section, training=config.training,
        n_heads=config.model.n_heads,
    )  # fmt: skip
    trainer.fit(lambda done, loss, _speed: looks.append((done, loss)))
    seconds = time.process_time() - began
    losses = [loss for _, loss in looks]
    return {"made": looks[-1][0], "loss": min(losses), "losses": losses, "processor_seconds": round(seconds, 1)}


def main() -> None:
    """Parses the arguments and measures what is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generator_steps", description=__doc__)
    parser.add_argument("name", help="sim, or a name for the table of --data")
    parser.add_argument("--data", help="file of the table")
    parser.add_argument("--label", help="column that is no feature")
    parser.add_argument("--rows", type=int, help="rows of the table that are used")
    parser.add_argument("--steps", default="250,500,1000,2000")
    parser.add_argument("--out", type=Path, default=FILE)
    words = parser.parse_args()
    keep_memory()
    out, name = words.out.absolute(), words.name if words.rows is None else f"{words.name}, {words.rows} rows"
    path = str(Path(words.data).absolute()) if words.data else None
    results = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    runs = results.setdefault(name, {})
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        config, preprocessor, tables = encoded(job(words.name, path, words.label, words.rows))
        runs["train_rows"], runs["features"] = tables[0].n_rows, preprocessor.sizes.n_features
        network = trained(config, preprocessor, tables)
        for steps in map(int, words.steps.split(",")):
            if str(steps) not in runs:
                runs[str(steps)] = measured(network, config, preprocessor, tables, steps)
                out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
                print(name, steps, runs[str(steps)], flush=True)


if __name__ == "__main__":
    main()
