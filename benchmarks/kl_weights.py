"""Default KL weights: what embeddings are worth for a linear model and for hidden cells, with weights of four kinds.

    python -m benchmarks.kl_weights sim digits covertype=covertype.parquet adult=adult.csv.gz [--seeds 3]

All other settings are the defaults of a table that nobody has configured, its sizes and epochs included. Each network
is trained to its last epoch and measured on validation rows; test rows are not looked at. Probes have each of three
penalties: which one is best depends on the KL weights. Every finished run is added to `results/kl_weights.json`, and a
run that is there is not repeated. About half an hour of one thread for a seed of all tables.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import polars as pl
import torch

from benchmarks.harness import RESULTS, GivenTable, facts
from benchmarks.size_trials import KL_WEIGHTS
from benchmarks.sizes import Rows, encoded, quality
from varjepa.config import RetrainConfig, parse_config
from varjepa.evaluation.probe import fit_probe
from varjepa.models.embedding import embed
from varjepa.models.network import TableNetwork
from varjepa.models.new_network import new_network
from varjepa.training.device import keep_memory
from varjepa.training.loop import Trainer

SMALL = {"train": 0.4, "validation": 0.4, "calibration": 0.0}
DATA: dict[str, dict[str, Any]] = {
    "sim": {"name": "sim", "rows": 17_500, "label": "label", "drop": ["ambiguity"], "split": SMALL},
    "digits": {"label": "label", "task": "classification", "split": SMALL | {"validation": 0.5}},
    "covertype": {"rows": 17_500, "label": "Cover_Type", "task": "classification", "split": SMALL},
    "adult": {"label": "income", "split": SMALL | {"train": 0.6, "validation": 0.2}},
}
"""Many validation rows, so that small differences show; digits are 1,797 rows of scikit-learn's."""

BEFORE = {"kl_sx_final": 1e-4, "kl_z_final": 1e-6, "kl_sy_final": 1e-5}
"""Defaults before 30 November 2026, those published for Adult."""

VARIANTS: dict[str, tuple[Mapping[str, float], float | None]] = {
    "before": (BEFORE, None),
    "0.01, rising in a third": (dict.fromkeys(KL_WEIGHTS, 0.01), 1 / 3),
    "0.01 from the start": (dict.fromkeys(KL_WEIGHTS, 0.01), 0.0),
    "0.1, rising in a third": (dict.fromkeys(KL_WEIGHTS, 0.1), 1 / 3),
}
"""Name -> final weights, and the share of the epochs in which they rise; None: 15 epochs, more than a training has."""

PENALTIES = (1e-2, 1e-1)
"""Ridge penalties of the probe beside that of `benchmarks.sizes`."""


def settings_of(config: RetrainConfig, rows: Rows, variant: str, seed: int) -> RetrainConfig:
    """The configuration of a run, with all sizes."""
    columns = [str(number) for number in range(rows.sizes.n_features)]
    # `sized` expects the rows of the whole table.
    sized = config.sized(round(rows.train.table.n_rows / config.data.split.train), columns)
    weights, share = VARIANTS[variant]
    epochs = sized.training.max_epochs
    rising = dict.fromkeys((name.replace("final", "anneal_epochs") for name in KL_WEIGHTS),
                           15.0 if share is None else share * epochs)  # fmt: skip
    plain = sized.model_dump(mode="json")
    plain["objective"] |= {**weights, **rising}
    plain["training"] |= {"seed": seed, "selection": "elbo", "eval_every": epochs}
    return parse_config(plain)


def measured(network: TableNetwork, rows: Rows, aggregate: str) -> dict[str, float]:
    """Of probes on the embedding, of uncertainty, of hidden cells, and how many dimensions the embedding uses."""
    found = quality(network, rows, aggregate)
    x, held = (embed(network, part.table).mean.flatten(1) for part in (rows.train, rows.validation))
    truth = rows.validation.labels.long()
    for penalty in PENALTIES:
        outputs = fit_probe(x, rows.train.labels, n_classes=rows.n_classes, l2=penalty).predict(held).double()
        losses = -outputs.log_softmax(1).gather(1, truth[:, None])
        found |= {f"log_loss_{penalty:g}": float(losses.mean()),
                  f"accuracy_{penalty:g}": float((outputs.argmax(1) == truth).double().mean())}  # fmt: skip
    shares = torch.linalg.eigvalsh(torch.cov(x.T.double())).clamp(min=0)
    shares = shares / shares.sum()
    return found | {"rank": float(torch.special.entr(shares).sum().exp())}


def run(config: RetrainConfig, rows: Rows, aggregate: str) -> dict[str, float]:
    """Figures of one training."""
    network = new_network(rows.sizes, config)
    trainer = Trainer(
        network=network, tables=(rows.train.table, rows.validation.table), objective=config.objective,
        masking=config.masking, training=config.training,
    )  # fmt: skip
    started = time.process_time()
    trainer.fit(lambda _: None, lambda *_: None)
    seconds = time.process_time() - started
    return {"training_seconds": seconds, **measured(network, rows, aggregate)}


def digits(path: Path) -> Path:
    """Writes scikit-learn's table of digits."""
    from sklearn.datasets import load_digits

    found = load_digits()
    table = pl.DataFrame(found.data, schema=[f"p{place}" for place in range(found.data.shape[1])])
    table.with_columns(label=pl.Series(found.target).cast(pl.String)).write_csv(path)
    return path


def study(tables: list[GivenTable], seeds: int, file: Path) -> None:
    """Measures what the result file lacks, and adds each run to it."""
    runs = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.is_file() else []
    done = {(one["table"], one["variant"], one["seed"]) for one in runs}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        read: dict[str, tuple[RetrainConfig, Rows]] = {}
        wanted = [(seed, variant, table) for seed in range(seeds) for variant in VARIANTS for table in tables]
        for seed, variant, table in wanted:
            if (table.name, variant, seed) in done:
                continue
            if table.name not in read:
                path = digits(Path("digits.csv").resolve()) if table.name == "digits" else table.path
                data = DATA[table.name] | ({"path": str(path)} if path else {})
                config = parse_config({"data": data, "registry": {"name": table.name}})
                read[table.name] = config, encoded(config)
            config, rows = read[table.name]
            figures = run(settings_of(config, rows, variant, seed), rows, config.uncertainty.aggregate)
            runs.append({"table": table.name, "variant": variant, "seed": seed, "figures": figures})
            print(table.name, variant, seed, {name: round(value, 4) for name, value in figures.items()}, flush=True)
            content = facts() | {"command": "python -m benchmarks.kl_weights", "runs": runs}
            file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Parses the arguments and measures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kl_weights", description=__doc__)
    parser.add_argument("tables", nargs="+", type=GivenTable.parsed, help="NAME or NAME=PATH")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    words = parser.parse_args()
    keep_memory()
    study(words.tables, words.seeds, words.out.resolve() / "kl_weights.json")


if __name__ == "__main__":
    main()
