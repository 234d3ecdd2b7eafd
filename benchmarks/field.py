"""Feature sets under fair predictors, with small encoders: five encoder seeds on three splits.

    python -m benchmarks.field sim covertype=covertype.parquet            # 10,000 rows each
    python -m benchmarks.field adult=adult.csv.gz
    python -m benchmarks.field covertype=covertype.parquet --set covertype.data.rows=null     # all 581,012 rows

Both kinds of encoder have the same small sizes, steps and choice of the epoch. The predictors come in stages, each of
which leaves a report, and reuses the encoders and cells of the stages before it. A killed study goes on where it was.
One process and one thread: hours. It writes `OUT/STAGE/` with the files of the report: `benchmark.csv`, `duels.csv`,
`benchmark.md`.
"""

import json
import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

ENCODERS = {
    "model.n_layers": 2, "model.d_hidden": 32, "model.n_heads": 4, "model.d_feedforward": 64, "model.pred_n_layers": 2,
    "model.pred_d_feedforward": 64, "training.max_epochs": 12, "training.batch_size": 256, "training.lr": 1e-3,
    "training.warmup_epochs": 1, "training.eval_every": 3, "objective.kl_sx_anneal_epochs": 4,
    "objective.kl_z_anneal_epochs": 4, "objective.kl_sy_anneal_epochs": 4,
}  # fmt: skip
"""Of every data set: an eighth of the published layers, half of the width."""

PREDICTORS = {"training.epochs": 30, "training.tabm.k": 8, "training.tabm.d_block": 64, "training.tabm.n_blocks": 2}

STAGES = {
    "quick": "linear,mlp,skrub_linear,skrub_trees",
    "xgboost": "linear,mlp,skrub_linear,skrub_trees,xgboost",
    "all": "linear,mlp,skrub_linear,skrub_trees,xgboost,lightgbm,tabm",
}
"""Stage -> predictors, the quick ones first."""


def settings(datasets: dict[str, str], more: Sequence[str]) -> Iterator[str]:
    """Settings of a study as words of a command."""
    for name, path in datasets.items():
        own = ENCODERS | ({"data.path": path} if path else {})
        yield from (f"{name}.{key}={value}" for key, value in own.items())
    yield from (f"{key}={value}" for key, value in PREDICTORS.items())
    yield from more


def report(datasets: dict[str, str], predictors: str, more: Sequence[str]) -> Path:
    """Computes what is missing of one stage; returns the folder of its report."""
    configs = ",".join(str(ROOT / "configs" / f"{name}.yaml") for name in datasets)
    words = [sys.executable, "-m", "varjepa.flows.cli", "benchmark", "--datasets", configs, "--predictors", predictors,
             "--seeds", "1", "--encoder-seeds", "5", "--splits", "3", "--trials", "4", "--runner", "threads",
             "--workers", "1", "--json"]  # fmt: skip
    words += [word for setting in settings(datasets, more) for word in ("--set", setting)]
    environment = {"OMP_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return Path(json.loads(done.stdout.strip().splitlines()[-1])["report"]).parent


def main() -> None:
    """Runs all stages."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("datasets", nargs="+", metavar="NAME[=FILE]", help="a config in configs/, and its file")
    parser.add_argument("--out", type=Path, default=Path("field"))
    parser.add_argument("--last", choices=STAGES, default="all", help="the last stage to compute")
    parser.add_argument("--set", action="append", default=[], dest="more", metavar="KEY=VALUE")
    asked = parser.parse_args()
    datasets = {name: path for name, _, path in (item.partition("=") for item in asked.datasets)}
    for stage, predictors in STAGES.items():
        shutil.copytree(report(datasets, predictors, asked.more), asked.out / stage, dirs_exist_ok=True)
        print(f"stage {stage}: {asked.out / stage}", flush=True)
        if stage == asked.last:
            break


if __name__ == "__main__":
    main()
