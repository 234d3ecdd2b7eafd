"""One HTML page that says what a validation found, readable without a network."""

from typing import Any

from varjepa.amounts import share
from varjepa.tasks.contract.findings import Finding, Outcome
from varjepa.tasks.reports.page import render

EXAMPLES = 5
"""Broken cells shown per rule."""


def contract_page(outcome: Outcome, docs: str) -> str:
    """Renders the page.

    Args:
        outcome: what came of the validation.
        docs: relative link to the Data Docs.
    """
    # Broken rules first, those about the whole table before those about rows, and then by the rows that break them.
    findings = sorted(outcome.findings, key=lambda each: (each.kept, bool(each.rule.broken), -each.broken))
    part = outcome.quarantined / outcome.rows if outcome.rows else 0.0
    return render(
        "contract.html", trouble=outcome.trouble, rows=f"{outcome.rows:,}", quarantined=f"{outcome.quarantined:,}",
        share=share(part, 2), allowed=share(outcome.allowed, 2), docs=docs,
        findings=[_line(finding, outcome.rows) for finding in findings],
    )  # fmt: skip


def _line(finding: Finding, rows: int) -> dict[str, Any]:
    """What the page shows of one rule; a table rule has words instead of examples."""
    return {
        "column": finding.rule.column, "says": finding.rule.says, "kept": finding.kept,
        "broken": f"{finding.broken:,} ({share(finding.broken / rows, 2)})" if finding.broken else "",
        "examples": finding.examples[:EXAMPLES] or (finding.problem,),
    }  # fmt: skip
