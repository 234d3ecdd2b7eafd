"""Step 10, continued: draw which columns move the predictions and the uncertainty of some rows."""

from dataclasses import dataclass
from pathlib import Path

from varjepa.config import RetrainConfig
from varjepa.inference.reasons import Contributions, Reasons, evaluations, mean_sizes
from varjepa.inference.storage import load_model, model_digest
from varjepa.plots import row_reasons, table_reasons
from varjepa.tasks.retrain.assemble import Assembled
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse

STEP = Step("explain", __name__)

LOOKS, MOST_ROWS = 4000, 60
"""Rows that the model may be shown in all, and rows that are explained at most: the figures take seconds."""


@dataclass(frozen=True)
class Explained:
    """Figures of reasons.

    Attributes:
        figures: folder of PNG files.
    """

    figures: Path


@task(name="explain", task_run_name="explain")
def explain(prepared: Prepared, assembled: Assembled, config: RetrainConfig) -> Explained:
    """Explains some validation rows. Test rows are not looked at."""
    folder = STEP.folder(None, model_digest(assembled.model), str(prepared.encoded))
    return reuse(folder, Explained, lambda: _explain(prepared, assembled, config, folder))


def _explain(prepared: Prepared, assembled: Assembled, config: RetrainConfig, folder: Path) -> Explained:
    model, figures = load_model(assembled.model, config.training.device), folder / "figures"
    figures.mkdir(exist_ok=True)
    most = max(5, min(MOST_ROWS, LOOKS // evaluations(len(model.preprocessor.columns))))
    reasons = model.reasons(prepared.evenly_spaced("validation", most=most).collect(engine="streaming"))
    kinds = _kinds(reasons)
    if kinds:
        # The row of the largest uncertainty: the one that a person would ask about first.
        last = list(kinds.values())[-1]
        row = int(last.value.argmax())
        parts = {what: (float(part.base[row]), part.parts[row]) for what, part in kinds.items()}
        drawn = row_reasons(reasons.columns, parts, "The least certain of some validation rows")
        drawn.savefig(figures / "reasons_row.png")
        sizes = {what: mean_sizes(part) for what, part in kinds.items()}
        table_reasons(reasons.columns, sizes, len(last.value)).savefig(figures / "reasons_table.png")
    return Explained(figures)


def _kinds(reasons: Reasons) -> dict[str, Contributions]:
    """What there are contributions to."""
    both = {"prediction": reasons.prediction, "uncertainty": reasons.uncertainty}
    return {what: part for what, part in both.items() if part is not None}
