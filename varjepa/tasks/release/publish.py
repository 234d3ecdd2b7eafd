"""Publishes the results of a retrain: on the run's page and as a Prefect artifact."""

import tempfile
from dataclasses import replace
from pathlib import Path

from prefect.artifacts import create_markdown_artifact

from varjepa.tasks.release.card import CardFacts, brief_card, html_card, markdown_card
from varjepa.tasks.release.gate import Decision
from varjepa.tasks.release.register import Registered
from varjepa.tasks.release.report import REPORT, html_report, outcome
from varjepa.tasks.reports.page import write_csv
from varjepa.tasks.steps.orchestrated import task, without_orchestration
from varjepa.tasks.steps.retries import retried_task
from varjepa.tasks.tracking.headlines import SHORT, TABLE, VERDICT, headlines
from varjepa.tasks.tracking.links import artifact_link
from varjepa.tasks.tracking.names import artifact_key
from varjepa.tasks.tracking.runs import log_results
from varjepa.tasks.tracking.store import client_of
from varjepa.visible import markdown_text

NOTE = "mlflow.note.content"
"""Tag whose Markdown the tracking UI shows on the run's page."""


@retried_task("model card")
def publish_card(facts: CardFacts) -> str:
    """Stores the model card and its intervals as artifacts; returns a brief card, which is on the run's page.

    There it follows a link to the report.
    """
    client, text = client_of(facts.config.tracking), brief_card(facts)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("model_card.md", markdown_card(facts)), ("model_card.html", html_card(facts))):
            path = Path(folder) / name
            path.write_text(content, encoding="utf-8")
            client.log_artifact(facts.run_id, str(path))
        if facts.intervals:
            # `repr`: the table has every digit, the card only four.
            rows = [(name, repr(low), repr(high)) for name, (low, high) in facts.intervals.items()]
            write_csv(Path(folder) / "intervals.csv", ("metric", "low", "high"), rows)
            client.log_artifact(facts.run_id, str(Path(folder) / "intervals.csv"))
    # MLflow lists files after folders, so the way to the report is on the run's page itself.
    report = artifact_link("Report", client.get_run(facts.run_id).info.experiment_id, facts.run_id, REPORT)
    client.set_tag(facts.run_id, NOTE, f"{report}\n\n{text}")
    return text


@retried_task("report")
def publish_report(facts: CardFacts, decision: Decision) -> None:
    """Stores the report and the table of all figures as artifacts; headlines and verdict are shown on the run's page.

    Args:
        facts: of the run, with the version if one is registered.
        decision: of the gate.
    """
    client, metrics = client_of(facts.config.tracking), facts.metrics | decision.metrics
    facts = replace(facts, metrics=metrics)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / REPORT
        page.write_text(html_report(facts, decision), encoding="utf-8")
        rows = [(name, repr(value)) for name, value in (headlines(metrics) | metrics).items()]
        write_csv(Path(folder) / TABLE, ("metric", "value"), rows)
        for name in (REPORT, TABLE):
            client.log_artifact(facts.run_id, str(Path(folder) / name))
    tags = {VERDICT: f"{outcome(decision)}: {decision.reason}"[:SHORT], "varjepa.gate": decision.reason[:5000]}
    if "registered as" in facts.version:
        tags["varjepa.model"] = facts.version["registered as"]
    if facts.head:
        tags["head/name"] = facts.head
    log_results.fn(facts.run_id, facts.config.tracking, headlines(metrics), tags)


@task(name="summarise")
def summarise(card: str, name: str, registered: Registered | None, decision: Decision) -> None:
    """Leaves the card and the decision as a Prefect artifact, if there is a server to keep it."""
    if without_orchestration():
        return
    verdict = "is the new champion" if decision.promoted else "is not promoted"
    title = markdown_text(registered.uri if registered else name)
    head = f"**{title}** {verdict}: {markdown_text(decision.reason)}\n\n"
    create_markdown_artifact(head + card, key=f"retrain-{artifact_key(name)}", description=f"Retrain of {name}")
