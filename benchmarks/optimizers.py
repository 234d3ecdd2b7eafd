"""Optimisers and epochs of the encoder: what embeddings are worth for a linear model and for hidden cells.

    python -m benchmarks.optimizers sim digits covertype=covertype.parquet adult=adult.csv.gz [--seeds 3]
    python -m benchmarks.optimizers sim_300 covertype_300=covertype.parquet adult_1000=adult.csv.gz

All other settings are the defaults of a table that nobody has configured. A number behind a name leaves so many rows
for training. Each network is trained to its last epoch and measured on validation rows as in `benchmarks.kl_weights`;
test rows are not looked at. Every finished run is added to `results/optimizers.json`, and a run that is there is not
repeated. Half an hour of one thread for a seed of all tables.
"""

from typing import NamedTuple

from benchmarks.kl_weights import asked, new_trainer, run, study
from benchmarks.size_trials import KL_WEIGHTS
from benchmarks.sizes import Rows
from varjepa.config import RetrainConfig, parse_config
from varjepa.config.learning import ANNEALED
from varjepa.training.device import keep_memory


class Variant(NamedTuple):
    """How the encoder learns.

    Attributes:
        optimizer: adamw or muon.
        lr: peak learning rate.
        share: of the epochs that were the default up to 30 November 2026.
        kind: of the model.
        warmup: epochs of warm-up.
        steps: of an epoch, at least, if batches of 16 rows and more allow it; otherwise batches have 512 rows.
    """

    optimizer: str
    lr: float
    share: float
    kind: str = "var_t_jepa"
    warmup: float = 1.0
    steps: int = 1


VARIANTS = {
    "adamw 0.001, all": Variant("adamw", 1e-3, 1.0),
    "adamw 0.001, half": Variant("adamw", 1e-3, 0.5),
    "adamw 0.001, quarter": Variant("adamw", 1e-3, 0.25),
    "adamw 0.002, half": Variant("adamw", 2e-3, 0.5),
    "adamw 0.004, half": Variant("adamw", 4e-3, 0.5),
    "muon 0.002, half": Variant("muon", 2e-3, 0.5),
    "muon 0.004, half": Variant("muon", 4e-3, 0.5),
    "muon 0.004, half, warm-up half": Variant("muon", 4e-3, 0.5, warmup=0.5),
    "muon 0.004, half, 4 steps": Variant("muon", 4e-3, 0.5, steps=4),
    "muon 0.004, half, 8 steps": Variant("muon", 4e-3, 0.5, steps=8),
    "muon 0.004, all, 8 steps": Variant("muon", 4e-3, 1.0, steps=8),
    "muon 0.008, half": Variant("muon", 8e-3, 0.5),
    "muon 0.004, quarter": Variant("muon", 4e-3, 0.25, warmup=0.5),
    "muon 0.004, all": Variant("muon", 4e-3, 1.0),
    "t_jepa: adamw 0.001, all": Variant("adamw", 1e-3, 1.0, "t_jepa"),
    "t_jepa: adamw 0.001, half": Variant("adamw", 1e-3, 0.5, "t_jepa"),
    "t_jepa: muon 0.004, half": Variant("muon", 4e-3, 0.5, "t_jepa"),
    "t_jepa: muon 0.004, all": Variant("muon", 4e-3, 1.0, "t_jepa"),
}

FEWEST = 0.1
"""Smaller shares of training rows stand for small tables."""

EPOCHS, PASSED = 12, 200_000
"""These were at most so many epochs, of together about so many training rows."""


def settings_of(config: RetrainConfig, rows: Rows, variant: str, seed: int) -> RetrainConfig:
    """The configuration of a run, with all sizes."""
    chosen = VARIANTS[variant]
    kind = parse_config(config.model_dump(mode="json") | {"model": {"kind": chosen.kind}})
    # The rows of the whole table, of which 60% are for training by default.
    share = config.data.split.train if config.data.split.train > FEWEST else 0.6
    sized = kind.sized(round(rows.train.table.n_rows / share), rows.sizes.n_features)
    epochs = max(1, round(chosen.share * min(EPOCHS, PASSED // rows.train.table.n_rows)))
    batch = max(16, min(512, rows.train.table.n_rows // chosen.steps))
    plain = sized.model_dump(mode="json")
    plain["objective"] |= {name.replace("final", "anneal_epochs"): ANNEALED * epochs for name in KL_WEIGHTS}
    plain["training"] |= {
        "optimizer": chosen.optimizer, "lr": chosen.lr, "warmup_epochs": chosen.warmup, "seed": seed,
        "max_epochs": epochs, "eval_every": epochs, "batch_size": batch,
    }  # fmt: skip
    return parse_config(plain)


def optimised(config: RetrainConfig, rows: Rows, variant: str, seed: int) -> dict[str, float]:
    """Figures of one of `VARIANTS`."""
    trainer = new_trainer(settings_of(config, rows, variant, seed), rows)
    return run(trainer, rows, config.uncertainty.aggregate)


def main() -> None:
    """Parses the arguments and measures."""
    words = asked("optimizers", __doc__)
    keep_memory()
    study("optimizers", words, VARIANTS, optimised)


if __name__ == "__main__":
    main()
