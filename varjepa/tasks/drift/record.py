"""Records a comparison as a run in the tracking store and as an event in Prefect."""

from typing import Any

from varjepa.evaluation.drift.words import title
from varjepa.tasks.drift.compare import Drift
from varjepa.tasks.drift.report import verdict
from varjepa.tasks.steps.orchestrated import without_orchestration
from varjepa.tasks.steps.retries import retried_task
from varjepa.tasks.tracking.names import metric_name

EVENT = "varjepa.drift"
"""Event of a model whose new rows have drifted up to its level."""


def drift_metrics(drift: Drift) -> dict[str, float]:
    """Metrics of a run: score, number of tests that found drift, effect per column or statistic, and quality."""
    metrics = {
        "drift/score": drift.score, "drift/alarm": float(drift.alarm), "drift/rows": float(drift.rows),
        "drift/tests": float(len(drift.findings)), "drift/drifted": float(len(drift.drifted)),
    }  # fmt: skip
    for finding in drift.findings:
        # One metric per column and aspect, so that monitoring runs form curves.
        aspect = {"values": "effect", "missing": "missing", "new categories": "new"}[finding.aspect]
        metrics[metric_name(f"drift/{aspect}", title(finding.subject))] = finding.comparison.effect
    if drift.estimate is not None:
        ends = {"": drift.estimate.accuracy, "_low": drift.estimate.low, "_high": drift.estimate.high}
        metrics |= {f"drift/estimated_accuracy{end}": value for end, value in ends.items()}
    return metrics | {f"drift/{name}": now for name, (_, now) in drift.quality.items()}


def drift_tags(drift: Drift) -> dict[str, str]:
    """Tags of a run."""
    return {
        "varjepa.model": drift.question.model, "varjepa.new": drift.question.new,
        "varjepa.drift": "drift" if drift.drifted else "none", "mlflow.note.content": verdict(drift),
    }  # fmt: skip


@retried_task("announce drift", task_run_name="announce drift")
def announce(drift: Drift, facts: dict[str, Any]) -> str | None:
    """Emits the event `EVENT` if the level is reached; returns its id, or None if it is not.

    Args:
        drift: the result of the comparison.
        facts: plain data for automations.
    """
    from prefect.events import emit_event

    if not drift.alarm or without_orchestration():
        return None
    resource = {"prefect.resource.id": f"varjepa.model.{drift.name}", "prefect.resource.name": drift.name}
    # The resource is the registered name, so that an automation can follow one model over its versions.
    event = emit_event(EVENT, resource, payload=facts)
    return str(event.id) if event is not None else None
