"""The monitoring flow: compares new rows with the reference of a model, reports, and starts a retrain after drift."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from varjepa.config import RetrainConfig, load_config
from varjepa.config.operations import NotifySection
from varjepa.tasks.answers.drift import DriftAnswer
from varjepa.tasks.drift.compare import Question, compare
from varjepa.tasks.drift.places import require_report
from varjepa.tasks.drift.record import announce, drift_metrics, drift_tags
from varjepa.tasks.drift.report import lines_of, report_drift, summary, verdict
from varjepa.tasks.lineage.run import lineage
from varjepa.tasks.lineage.tables import model_in
from varjepa.tasks.notify.message import Message
from varjepa.tasks.notify.send import notify
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.reports.keep_life import keep_life
from varjepa.tasks.steps.reuse import WORK, digest
from varjepa.tasks.tracking.runs import log_artifacts, log_results, opened_run
from varjepa.tasks.tracking.uris import tracking_uri as tracking_uri_of


@flow(name="monitor", flow_run_name="monitor {model}", validate_parameters=True)
def monitor(
    model: str,
    new: str,
    *,
    out: str | None = None,
    retrain_config: str | None = None,
    overrides: list[str] | None = None,
    level: float | None = None,
    false_alarms: float | None = None,
    tracking_uri: str | None = None,
    device: str = "auto",
    force: bool = False,
    reading: dict[str, Any] | None = None,
) -> DriftAnswer:
    """Tests for drift; returns the object that `varjepa drift --json` prints.

    Args:
        model: `models:/NAME@champion`, `models:/NAME/VERSION`, a run id, or a folder.
        new: file, folder, glob or URI of new rows.
        out: folder or HTML file for the report. If not given, the report is only stored with the run.
        retrain_config: YAML file of the job to start if drift reaches the level.
        overrides: `section.key=value` for that job.
        level: share of rows; overrides the model's `drift.level`.
        false_alarms: overrides the model's `drift.false_alarms`.
        tracking_uri: tracking store; None means the default one.
        device: auto, cpu, or a GPU by name.
        force: overwrite `out`.
        reading: query, parameters and version (at) of the new rows.

    Raises:
        UserError: the model, the rows or the configuration is invalid.
        ContractError: the data of the retrain broke its contract.
    """
    # What can be wrong in the command is checked before any row is read.
    started, place = time.perf_counter(), None if out is None else Path(out)
    if place is not None:
        require_report(place, force=force)
    job = None if retrain_config is None else load_config(retrain_config, overrides or [])
    keys = None if job is None else job.signing.trusted_keys
    question = Question(model, new, level, false_alarms, tracking_uri, device, reading or {}, keys)
    return monitor_rows(question, place, job, None if job is None else job.notify, started)


def monitor_rows(
    question: Question, place: Path | None, job: RetrainConfig | None, rules: Sequence[NotifySection] | None,
    started: float, *, keep: bool = True,
) -> DriftAnswer:  # fmt: skip
    """Tests for drift, records it, tells people and runs a job if the level is reached.

    Args:
        question: the model, the new rows and the settings.
        place: of the report, besides the run; None for none.
        job: to run after drift.
        rules: for messages; None for those of the model's last retrain.
        started: `time.perf_counter` at the beginning.
        keep: bring the page of the model's life up to date.
    """
    with lineage("drift", model_in(question.model)):
        # Compare, and record the result in a run of its own.
        drift = compare(question)
        with opened_run(drift.tracking, command="drift", name=drift.name) as run_id:
            report = report_drift(drift, WORK / f"drift-{digest(run_id)}", place)
            log_results(run_id, drift.tracking, drift_metrics(drift), drift_tags(drift))
            log_artifacts(run_id, drift.tracking, {"": report.folder})
        # Act on it: an event for automations, and a retrain if one is given.
        result = summary(drift)
        event = announce(drift, {**result, "run_id": run_id, "report": str(report.page)})
        if drift.alarm:
            rules = drift.notify if rules is None else rules
            notify(rules, tracking_uri_of(drift.tracking), Message("drift", drift.name, verdict(drift), run_id=run_id))
        if keep:
            keep_life(drift.name, tracking_uri_of(drift.tracking))
        retrained = None
        if job is not None and drift.alarm:
            from varjepa.flows.retrain import retrain  # two seconds of imports, which few looks at new rows need

            retrained = retrain(job)
            log_results(run_id, drift.tracking, {}, {"varjepa.retrained": str(retrained["model"]["uri"])})
    seconds = round(time.perf_counter() - started, 2)
    return {
        **result, "run_id": run_id, "report": str(report.page), "tests": lines_of(drift), "event": event,
        "retrained": retrained, "seconds": seconds,
    }  # fmt: skip
