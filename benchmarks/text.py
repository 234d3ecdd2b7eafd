"""What embeddings of text are worth: probes with `preprocess.text_dimensions` of 0 and of 16.

    python -m benchmarks.text [--seeds 5]

Tables with names (passengers, whose titles matter) and with addresses and product titles (orders) are drawn anew for
every seed, written as CSV files, and go through the steps of a retrain twice, in files and settings alike but for the
number of dimensions. Raw features are measured by the same linear probe. Writes `results/text.json`.
"""

import argparse
import statistics
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, Figure, publish
from benchmarks.messy_tables import MESSY_TABLES
from benchmarks.overhead import pretrained_alone

TABLES = {"titanic": 1_500, "shop": 2_500}
"""Tables with text, and their numbers of rows."""

DIMENSIONS = (0, 16)

SETTINGS: dict[str, Any] = {
    "model": {"d_hidden": 16, "n_layers": 1, "n_heads": 2, "d_feedforward": 32, "pred_d": 8, "pred_n_layers": 1,
              "pred_n_heads": 2, "pred_d_feedforward": 16},
    "training": {"max_epochs": 4, "batch_size": 128},
}  # fmt: skip
"""Small, so that a run takes seconds."""


def accuracies(name: str, seed: int, dimensions: int) -> dict[str, float]:
    """Test accuracy of a probe on the embedding and on raw features."""
    from varjepa.config import parse_config
    from varjepa.tasks.retrain.ingest import ingest
    from varjepa.tasks.retrain.preprocess import preprocess
    from varjepa.tasks.retrain.probe import probe
    from varjepa.tasks.retrain.validate import check_contract

    table = MESSY_TABLES[name](TABLES[name], seed)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        path = table.write(Path(folder) / f"{name}.csv")
        sections = {"data": {"path": str(path), "label": table.label, "split": {"seed": seed}},
                    "preprocess": {"text_dimensions": dimensions}}  # fmt: skip
        config = parse_config(SETTINGS | sections)
        prepared = preprocess.fn(check_contract.fn(ingest.fn(config), config).clean, config)
        pretrained = pretrained_alone(prepared, config)
        metrics = probe.fn(prepared, pretrained, config).metrics
    return {"embedding": metrics["probe/accuracy"], "raw features": metrics["raw/accuracy"]}


def figures(name: str, seeds: int) -> list[Figure]:
    """Mean accuracies of both, and the mean of their paired differences with its standard error."""
    runs = [[accuracies(name, seed, dimensions) for dimensions in DIMENSIONS] for seed in range(seeds)]
    found = []
    for inputs in ("raw features", "embedding"):
        without, with_text = ([run[k][inputs] for run in runs] for k in range(2))
        gains = [b - a for a, b in zip(without, with_text, strict=True)]
        error = statistics.stdev(gains) / seeds**0.5
        found += [
            Figure(f"{name}, {inputs}: accuracy without text", statistics.mean(without), "share"),
            Figure(f"{name}, {inputs}: accuracy with text", statistics.mean(with_text), "share"),
            Figure(f"{name}, {inputs}: gain", statistics.mean(gains), "share", None, "more than 0"),
            Figure(f"{name}, {inputs}: standard error of the gain", error, "share"),
            Figure(f"{name}, {inputs}: smallest gain", min(gains), "share"),
        ]
    return found


def main() -> None:
    """Parses the arguments, measures, and writes the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="number of tables of each kind, at least 2")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    words = parser.parse_args()
    found = [figure for name in TABLES for figure in figures(name, words.seeds)]
    publish("text", found, words.out, command=f"python -m benchmarks.text --seeds {words.seeds}")


if __name__ == "__main__":
    main()
