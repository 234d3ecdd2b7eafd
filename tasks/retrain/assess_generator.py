"""Step 8: what imputations, samples and anomaly scores are worth, on test rows."""

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from prefect import task

from tasks.retrain.preprocess import Prepared
from tasks.steps.files import write_text
from tasks.steps.reuse import reuse, step_folder
from varjepa.config import RetrainConfig
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.inference.generator_quality import assess
from varjepa.inference.storage import load_model

BASELINE_ROWS = 50_000
"""At most this many training rows teach the baselines."""

COLUMNS = "imputation.csv"


@dataclass(frozen=True)
class Assessed:
    """What was found.

    Attributes:
        tables: folder with `imputation.csv`, one line per feature; None without a generator.
        metrics: imputation/..., samples/..., anomaly/....
    """

    tables: Path | None
    metrics: dict[str, float]


@task(name="assess", task_run_name="assess")
def assess_generator(model: Path, prepared: Prepared, config: RetrainConfig) -> Assessed:
    """Hides, draws and corrupts test rows; measures beside the baselines that a user would pick instead."""
    if not config.generator.n_layers or not config.generator.assess_rows:
        return Assessed(None, {})
    folder = step_folder("assess", str(model), config.generator.assess_rows, code=__name__)
    return reuse(folder, Assessed, lambda: _assess(model, prepared, config, folder))


def _assess(model: Path, prepared: Prepared, config: RetrainConfig, folder: Path) -> Assessed:
    trained = load_model(model, config.training.device)
    train, test = (
        _rows(prepared, name, most, trained.preprocessor)
        for name, most in (("train", BASELINE_ROWS), ("test", config.generator.assess_rows))
    )
    found = assess(trained, train, test, seed=config.training.seed)
    tables = folder / "tables"
    tables.mkdir(exist_ok=True)
    found.columns.write_csv(tables / COLUMNS)
    write_text(folder / "metrics.json", json.dumps(found.metrics))
    return Assessed(tables, found.metrics)


def _rows(prepared: Prepared, part: str, most: int, preprocessor: Preprocessor) -> pl.DataFrame:
    """Evenly spaced rows of a part, in the order of the source; columns that features are made from."""
    stride = -(-prepared.parts.get(part, 0) // most)
    rows = prepared.raw(part).select(preprocessor.order)
    return rows.gather_every(max(1, stride)).collect(engine="streaming")
