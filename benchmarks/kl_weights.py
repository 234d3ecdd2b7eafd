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
from collections.abc import Callable, Iterable, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from benchmarks.harness import RESULTS, GivenTable, facts
from benchmarks.size_trials import KL_WEIGHTS
from benchmarks.sizes import Rows, encoded, quality
from varjepa.config import RetrainConfig, parse_config
from varjepa.evaluation.latents.latents import predictor_residuals
from varjepa.evaluation.latents.pit import ks_per_column
from varjepa.evaluation.probe import fit_probe
from varjepa.evaluation.uncertainty.calibration import pit_values
from varjepa.inference.diagnostics import PIT_BATCH
from varjepa.models.embedding import embed
from varjepa.models.network import TableNetwork
from varjepa.models.new_network import new_network
from varjepa.nn.random import Randomness
from varjepa.tasks.retrain.calibrate import PIT_ROWS
from varjepa.training.device import keep_memory
from varjepa.training.loop import Trainer

SMALL = {"train": 0.4, "validation": 0.4, "calibration": 0.0}
WIDE = {"train": 0.25, "validation": 0.5, "calibration": 0.0}
DATA: dict[str, dict[str, Any]] = {
    "sim": {"name": "sim", "rows": 17_500, "label": "label", "drop": ["ambiguity"], "split": SMALL},
    "digits": {"label": "label", "task": "classification", "split": SMALL | {"validation": 0.5}},
    "covertype": {"rows": 17_500, "label": "Cover_Type", "task": "classification", "split": SMALL},
    "adult": {"label": "income", "split": SMALL | {"train": 0.6, "validation": 0.2}},
    "mnist": {"rows": 4000, "label": "label", "task": "classification", "split": WIDE},
    "factors": {"label": "label", "task": "classification", "split": WIDE},
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

FEW = 12_000
"""Rows of a table of which few are left for training, and half for validation."""

PENALTIES = (1e-2, 1e-1)
"""Ridge penalties of the probe beside that of `benchmarks.sizes`."""

Measure = Callable[[RetrainConfig, Rows, str, int], dict[str, float]]
"""(job, its rows, variant, seed) -> figures of one training."""


def settings_of(config: RetrainConfig, rows: Rows, variant: str, seed: int) -> RetrainConfig:
    """The configuration of a run, with all sizes."""
    # `sized` expects the rows of the whole table.
    sized = config.sized(round(rows.train.table.n_rows / config.data.split.train), rows.sizes.n_features)
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


def new_trainer(config: RetrainConfig, rows: Rows) -> Trainer:
    """A trainer of a new network."""
    return Trainer(
        network=new_network(rows.sizes, config), tables=(rows.train.table, rows.validation.table),
        objective=config.objective, masking=config.masking, training=config.training,
    )  # fmt: skip


def run(trainer: Trainer, rows: Rows, aggregate: str) -> dict[str, float]:
    """Figures of one training."""
    started = time.process_time()
    trainer.fit(lambda _: None, lambda *_: None)
    seconds = time.process_time() - started
    found = {"training_seconds": seconds, **measured(trainer.network, rows, aggregate)}
    network = trainer.network.variational()
    if network is None:
        return found
    # As the median and the worst of `calibration/latent_pit_ks` of a retrain, here of validation rows.
    held, random = rows.validation.table.rows(slice(PIT_ROWS)), Randomness.seeded(trainer.training.seed)
    residuals = predictor_residuals(network, held, trainer.masking, random, batch_size=PIT_BATCH)
    distances = ks_per_column(pit_values(residuals.double().numpy()))
    return found | {"pit_median": float(np.median(distances)), "pit_worst": float(distances.max())}


def weighted(config: RetrainConfig, rows: Rows, variant: str, seed: int) -> dict[str, float]:
    """Figures of one of `VARIANTS`."""
    trainer = new_trainer(settings_of(config, rows, variant, seed), rows)
    return run(trainer, rows, config.uncertainty.aggregate)


def digits(path: Path) -> Path:
    """Writes scikit-learn's table of digits."""
    from sklearn.datasets import load_digits

    found = load_digits()
    table = pl.DataFrame(found.data, schema=[f"p{place}" for place in range(found.data.shape[1])])
    table.with_columns(label=pl.Series(found.target).cast(pl.String)).write_csv(path)
    return path


def factors(path: Path) -> Path:
    """Writes 4,000 rows of 300 numbers that 20 factors and noise make; one of the factors makes three classes."""
    rng = np.random.default_rng(1)
    each = rng.normal(size=(4000, 20))
    numbers = each @ rng.normal(size=(20, 300)) + 3 * rng.normal(size=(4000, 300))
    noisy = each[:, 0] + 0.3 * rng.normal(size=4000)
    table = pl.DataFrame(numbers.round(3), schema=[f"x{place}" for place in range(300)])
    table.with_columns(label=pl.Series(np.digitize(noisy, (-0.4, 0.4))).cast(pl.String)).write_csv(path)
    return path


MADE = {"digits": digits, "factors": factors}
"""Tables that need no file."""


def read(table: GivenTable) -> tuple[RetrainConfig, Rows]:
    """A job with the default settings, and its encoded rows in the working folder.

    Args:
        table: one of `DATA`; `NAME_300` has 300 rows for training.
    """
    name, _, number = table.name.partition("_")
    path = MADE[name](Path(f"{name}.csv").resolve()) if name in MADE else table.path
    data = DATA[name] | ({"path": str(path)} if path else {})
    if number:
        data |= {"rows": FEW, "split": {"train": int(number) / FEW, "validation": 0.5, "calibration": 0.0}}
    config = parse_config({"data": data, "registry": {"name": table.name}})
    return config, encoded(config)


def study(name: str, words: argparse.Namespace, variants: Iterable[str], measure: Measure) -> None:
    """Measures what the result file lacks, and adds each run to it.

    Args:
        name: of the benchmark and of its file.
        words: its arguments, as `asked`.
        variants: names that `measure` knows.
        measure: computes a run.
    """
    file = words.out.resolve() / f"{name}.json"
    runs = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.is_file() else []
    done = {(one["table"], one["variant"], one["seed"]) for one in runs}
    wanted = [(seed, variant, table) for seed in range(words.seeds) for variant in variants for table in words.tables]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        known: dict[str, tuple[RetrainConfig, Rows]] = {}
        for seed, variant, table in wanted:
            if (table.name, variant, seed) in done:
                continue
            if table.name not in known:
                known[table.name] = read(table)
            config, rows = known[table.name]
            figures = measure(config, rows, variant, seed)
            runs.append({"table": table.name, "variant": variant, "seed": seed, "figures": figures})
            print(table.name, variant, seed, {name: round(value, 4) for name, value in figures.items()}, flush=True)
            content = facts() | {"command": f"python -m benchmarks.{name}", "runs": runs}
            file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def asked(name: str, description: str | None) -> argparse.Namespace:
    """Arguments of a benchmark."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("tables", nargs="+", type=GivenTable.parsed, help="NAME or NAME=PATH")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    return parser.parse_args()


def main() -> None:
    """Parses the arguments and measures."""
    words = asked("kl_weights", __doc__)
    keep_memory()
    study("kl_weights", words, VARIANTS, weighted)


if __name__ == "__main__":
    main()
