"""Publishes the results of a retrain: on the run's page and as a Prefect artifact."""

import tempfile
from pathlib import Path

from prefect import task
from prefect.artifacts import create_markdown_artifact

from tasks.release.card import CardFacts, brief_card, html_card, markdown_card
from tasks.release.gate import Decision
from tasks.release.register import Registered
from tasks.reports.page import write_csv
from tasks.steps.retries import retried_task
from tasks.tracking.store import client_of

NOTE = "mlflow.note.content"
"""Tag whose Markdown the tracking UI shows on the run's page."""


@retried_task("model card")
def publish_card(facts: CardFacts) -> str:
    """Stores the model card and its intervals as artifacts, and a brief card on the run's page; returns the latter."""
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
    client.set_tag(facts.run_id, NOTE, text)
    return text


@task(name="summarise")
def summarise(card: str, name: str, registered: Registered | None, decision: Decision) -> None:
    """Leaves the card and the decision as a Prefect artifact."""
    verdict = "is the new champion" if decision.promoted else "is not promoted"
    head = f"**{registered.uri if registered else name}** {verdict}: {decision.reason}\n\n"
    # Prefect's keys have lower-case letters, digits and dashes only.
    key = "retrain-" + "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")
    create_markdown_artifact(head + card, key=key, description=f"Retrain of {name}")
