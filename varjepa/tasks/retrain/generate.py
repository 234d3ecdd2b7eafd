"""Step 8: train the generator of cells given the others of their row, for imputation, samples and anomaly scores."""

import math
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch

from varjepa.config import RetrainConfig
from varjepa.config.encoder_sizes import WIDE_FEATURES
from varjepa.data.encode.encoded import read_sample
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.sources import ROW
from varjepa.data.tensors.bars import CUT_ROWS
from varjepa.data.tensors.table import TableTensors
from varjepa.inference.generator.fill import outside_range
from varjepa.inference.generator.fitting import fitted_generator
from varjepa.inference.generator.storage import save_generator
from varjepa.tasks.retrain.encoded_rows import EncodedRows
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse
from varjepa.tasks.steps.time_left import time_left
from varjepa.training.device import give_back_memory

STEP = Step("generate", __name__, settings=("generator",), without=("generator.assess_rows",))

VALIDATION_ROWS = 20_000
"""Largest number of validation rows that select the best weights; larger parts are sampled."""

REFERENCE_ROWS = 5000
"""Largest number of validation rows, and of calibration rows, on which the reference is measured."""


@dataclass(frozen=True)
class Generated:
    """A trained generator.

    Attributes:
        folder: its files (see `varjepa.inference.storage.save_generator`); None where the configuration leaves it out.
        loss: mean negative log-probability of hidden cells of validation rows, nats; 0 without one.
    """

    folder: Path | None
    loss: float

    @property
    def metrics(self) -> dict[str, float]:
        """generator/...; empty without a generator."""
        return {} if self.folder is None else {"generator/loss": self.loss}


def generator_folder(pretrained: Pretrained, config: RetrainConfig) -> Path:
    """The folder of this step's result."""
    return STEP.folder(config, str(pretrained.weights))


@task(name="generate", task_run_name="generate")
def generate(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig) -> Generated:
    """Trains the generator on training rows, and measures its reference on rows outside of them."""
    if not config.generator.n_layers:
        wide = f", as {prepared.features} features would take long" if prepared.features >= WIDE_FEATURES else ""
        log.info("no generator (generator.n_layers is 0%s), so no imputations, new rows or anomaly scores", wide)
        return Generated(None, 0.0)
    folder = generator_folder(pretrained, config)
    return reuse(folder, Generated, lambda: _generate(prepared, pretrained, config, folder))


def _generate(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig, folder: Path) -> Generated:
    preprocessor = Preprocessor.read(prepared.preprocessor)
    network = pretrained.network(preprocessor, config)
    device = network.device
    rows = EncodedRows(prepared.encoded, preprocessor, config.training, device)
    tables = rows.at_most("train", _most(rows, prepared, config)), rows.at_most("validation", VALIDATION_ROWS)
    best, last, checkpoint = math.inf, 0, folder / "checkpoint.pt"
    all_steps, batch = config.generator.steps(tables[0].n_rows), config.generator.batch(tables[0].n_rows)

    def on_progress(steps: int, loss: float, speed: float) -> None:
        nonlocal best, last
        best, last = min(best, loss), steps
        left = time_left((all_steps - steps) * batch / max(speed, 1e-9))
        words = "generator, step %d of %d: %.4f nats per hidden cell, %s rows/s, %s"
        log.info(words, steps, all_steps, loss, f"{speed:,.0f}", left)

    # Intervals keep their coverage only if no choice was made on their rows, hence calibration rows.
    other, held = (_part(prepared, preprocessor, name, device) for name in ("validation", "calibration"))
    if not held[0].n_rows:
        log.warning("There are no calibration rows: imputation intervals come from validation rows.")
        held = other
    generator = fitted_generator(
        network, preprocessor, config, tables=tables, held=(held, other), on_progress=on_progress, checkpoint=checkpoint
    )
    if 0 < last < all_steps:
        words = "the generator stops at step %d of %d: its loss on validation rows no longer falls; the best was %.4f"
        log.info(words, last, all_steps, best)
    give_back_memory()
    save_generator(folder, generator)
    checkpoint.unlink(missing_ok=True)
    return Generated(folder, best)


def _most(rows: EncodedRows, prepared: Prepared, config: RetrainConfig) -> int:
    """Number of training rows to hold in memory: all if they fit, otherwise twice what the steps can draw."""
    total = prepared.parts["train"]
    return total if rows.fits(total) else max(CUT_ROWS, 2 * config.generator.max_steps * config.generator.batch_size)


def _part(
    prepared: Prepared, preprocessor: Preprocessor, name: str, device: torch.device
) -> tuple[TableTensors, torch.Tensor]:
    """Some rows of a part, and how far their numbers lie beyond the training range."""
    # Encoded values are clipped to the training range, so the distance beyond it comes from the raw rows.
    rows = read_sample(prepared.encoded, preprocessor, name, most=REFERENCE_ROWS, seed=0)
    raw = pl.scan_parquet(prepared.clean).filter(pl.col(ROW).is_in(rows.rows.tolist())).collect()
    return rows.table.to(device), outside_range(raw, preprocessor).to(device)
