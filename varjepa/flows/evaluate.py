"""The evaluation flow: how predictions and promises held up on rows whose labels are now known."""

import time
from typing import Any

from varjepa.tasks.answers.drift import EvaluateAnswer
from varjepa.tasks.drift.report import estimate_answer
from varjepa.tasks.lineage.run import lineage
from varjepa.tasks.lineage.tables import model_in
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.outcomes.evaluate import evaluate_model
from varjepa.tasks.outcomes.labels import Labelled
from varjepa.tasks.outcomes.record import evaluation_metrics, evaluation_tags, promise_answer
from varjepa.tasks.reports.keep_life import keep_life
from varjepa.tasks.tracking.runs import log_results, opened_run
from varjepa.tasks.tracking.uris import store


@flow(name="evaluate", flow_run_name="evaluate {model}", validate_parameters=True)
def evaluate(
    model: str,
    labelled: str,
    *,
    scored: str | None = None,
    key: str | None = None,
    tracking_uri: str | None = None,
    device: str = "auto",
    reading: dict[str, Any] | None = None,
) -> EvaluateAnswer:
    """Judges a model by labelled rows; returns the object that `varjepa evaluate --json` prints.

    Args:
        model: `models:/NAME@champion`, `models:/NAME/VERSION`, a run id, or a folder.
        labelled: file, folder, glob or URI of rows with labels.
        scored: output of `varjepa score` for these rows; None to score them now.
        key: column that names a row in both tables.
        tracking_uri: tracking store; None means the default one.
        device: auto, cpu, or a GPU by name.
        reading: query, parameters and version (at) of the labelled rows.

    Raises:
        UserError: the model or the rows are invalid.
    """
    started = time.perf_counter()
    with lineage("evaluate", model_in(model)):
        evaluation = evaluate_model(Labelled(model, labelled, scored, key, tracking_uri, device, reading or {}))
        with opened_run(evaluation.tracking, command="evaluate", name=evaluation.name) as run_id:
            log_results(run_id, evaluation.tracking, evaluation_metrics(evaluation), evaluation_tags(evaluation))
    keep_life(evaluation.name, store(tracking_uri))
    return {
        "model": model, "run_id": run_id, "rows": evaluation.rows, "metrics": evaluation.metrics,
        "promises": [promise_answer(promise) for promise in evaluation.promises],
        "estimate": estimate_answer(evaluation.estimate), "training_table": evaluation.training_table,
        "seconds": round(time.perf_counter() - started, 2),
    }  # fmt: skip
