"""Step 8, continued: assess imputations, samples and anomaly scores on test rows."""

import json
from dataclasses import dataclass
from pathlib import Path

from varjepa.config import RetrainConfig
from varjepa.data.cells import by_name
from varjepa.data.files.formulas import for_spreadsheets
from varjepa.inference.generator_quality import assess
from varjepa.inference.storage import load_parts, model_parts
from varjepa.tasks.retrain.generate import Generated
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse

STEP = Step("assess", __name__, settings=("generator.assess_rows",))

BASELINE_ROWS = 50_000
"""Largest number of training rows for the baselines."""

COLUMNS = "imputation.csv"


@dataclass(frozen=True)
class Assessed:
    """Quality of a generator.

    Attributes:
        tables: folder with `imputation.csv`, one line per feature; None without a generator.
        metrics: imputation/..., samples/..., anomaly/....
    """

    tables: Path | None
    metrics: dict[str, float]


@task(name="assess", task_run_name="assess")
def assess_generator(
    prepared: Prepared, pretrained: Pretrained, generated: Generated, config: RetrainConfig
) -> Assessed:
    """Hides cells of test rows, draws rows, and corrupts cells; compares the results with common baselines."""
    if generated.folder is None or not config.generator.assess_rows:
        return Assessed(None, {})
    parts = model_parts(prepared.preprocessor.parent, pretrained.weights.parent, generated.folder)
    # The generator's folder already depends on the rows, the network and the seed.
    folder = STEP.folder(config, str(generated.folder))
    return reuse(folder, Assessed, lambda: _assess(parts, prepared, config, folder))


def _assess(parts: dict[str, Path], prepared: Prepared, config: RetrainConfig, folder: Path) -> Assessed:
    trained = load_parts(config, parts, config.training.device)
    train, test = (
        prepared.evenly_spaced(name, most=most)
        .select(by_name(trained.preprocessor.columns))
        .collect(engine="streaming")
        for name, most in (("train", BASELINE_ROWS), ("test", config.generator.assess_rows))
    )
    quality = assess(trained, train, test, seed=config.training.seed)
    tables = folder / "tables"
    tables.mkdir(exist_ok=True)
    for_spreadsheets(quality.columns).write_csv(tables / COLUMNS)
    write_text(folder / "metrics.json", json.dumps(quality.metrics))
    return Assessed(tables, quality.metrics)
