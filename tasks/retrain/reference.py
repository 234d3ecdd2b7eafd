"""Step 9: what rows outside of training look like goes into the model's folder, for `varjepa drift`."""

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
from prefect import task

from tasks.retrain.preprocess import Prepared
from tasks.steps.log import log
from tasks.steps.reuse import reuse, step_folder
from varjepa.config import RetrainConfig
from varjepa.data.encode.encoded import read_sample
from varjepa.inference.drift_counts import make_profile
from varjepa.inference.row_statistics import principal_directions
from varjepa.inference.storage import load_model, save_model

COLUMN_ROWS = 500_000
"""Columns are counted in at most this many rows, evenly spaced."""

DIRECTION_ROWS = 2000
"""Training rows whose embeddings give the principal directions."""

UNSEEN = ("validation", "calibration", "test")
UNTOUCHED = ("calibration", "test")


@dataclass(frozen=True)
class Profiled:
    """A model that can be asked for drift.

    Attributes:
        model: folder of the model (see `varjepa.inference.storage`).
    """

    model: Path


@task(name="profile", task_run_name="profile")
def profile_model(model: Path, prepared: Prepared, config: RetrainConfig) -> Profiled:
    """Adds the profile to a finished model; returns it as it came where training has seen all rows."""
    if config.data.split.seen == "all":
        log.warning("data.split.seen is all: no rows are left to make a reference for varjepa drift from.")
        return Profiled(model)
    folder = step_folder("profile", str(model), config.drift.reference_rows, code=__name__)
    return reuse(folder, Profiled, lambda: _profile(model, prepared, config, folder))


def _profile(model: Path, prepared: Prepared, config: RetrainConfig, folder: Path) -> Profiled:
    trained = load_model(model, config.training.device)
    some = read_sample(prepared.encoded, trained.preprocessor, "train", most=DIRECTION_ROWS, seed=0)
    directions = principal_directions(trained, some.table.to(trained.device))
    profile = make_profile(
        trained,
        _rows(prepared, UNSEEN, COLUMN_ROWS),
        _rows(prepared, UNTOUCHED, config.drift.reference_rows),
        directions,
    )
    save_model(folder / "model", replace(trained, profile=profile))
    return Profiled(folder / "model")


def _rows(prepared: Prepared, parts: tuple[str, ...], most: int) -> pl.DataFrame:
    """Evenly spaced rows of some parts, as they came."""
    stride = -(-sum(prepared.parts.get(name, 0) for name in parts) // most)
    return prepared.raw(*parts).gather_every(max(1, stride)).collect(engine="streaming")
