"""Report of a comparison with the reference: one self-contained page, a table, JSON, figures."""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from varjepa import plots
from varjepa.amounts import counted, figure, share
from varjepa.data.files.formulas import for_spreadsheets
from varjepa.evaluation.accuracy_estimate import EstimatedAccuracy
from varjepa.evaluation.drift.samples import Sample
from varjepa.evaluation.drift.tests import Finding
from varjepa.evaluation.drift.words import heading, respelled, sentence
from varjepa.tasks.answers.drift import DriftSummary, DriftTestAnswer, EstimateAnswer, UnseenClassAnswer
from varjepa.tasks.drift.compare import Drift
from varjepa.tasks.reports.page import Picture, render
from varjepa.tasks.reports.provenance import provenance
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.json_text import json_text
from varjepa.tasks.steps.orchestrated import task
from varjepa.visible import shortened

PAGE, TABLE, FACTS = "report.html", "tests.csv", "drift.json"

HEADLINES = ("elbo", "prediction_error", "surprise")
"""Statistics of rows that are always plotted."""

MOST_PANELS, MOST_BARS = 12, 40
"""Largest numbers of panels and of bars in a figure."""

LONGEST_NAME = 60
"""Characters of a name in a table of the page, where it is not broken."""


@dataclass(frozen=True)
class DriftReport:
    """Files of a report.

    Attributes:
        folder: holds all of them.
        page: HTML, to be opened.
    """

    folder: Path
    page: Path


@task(name="report drift", task_run_name="report drift")
def report_drift(drift: Drift, folder: Path, out: Path | None) -> DriftReport:
    """Writes the report into a folder, and copies it to `out`.

    Args:
        drift: the result of the comparison.
        folder: created if it does not exist.
        out: another folder, or an HTML file for the page alone; None for no copy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = _figures(drift)
    for name, drawn in figures.items():
        drawn.savefig(folder / f"{name}.png")
    # The page embeds its figures, so it can be copied alone.
    write_text(folder / PAGE, drift_page(drift, [folder / f"{name}.png" for name in figures]))
    lines = lines_of(drift)
    for_spreadsheets(pl.DataFrame(lines, infer_schema_length=None)).write_csv(folder / TABLE)
    write_text(folder / FACTS, json_text(summary(drift) | {"tests": lines}, indent=1))
    if out is None:
        return DriftReport(folder, folder / PAGE)
    if out.suffix == ".html":
        shutil.copyfile(folder / PAGE, out)
        return DriftReport(folder, out)
    shutil.copytree(folder, out, dirs_exist_ok=True)
    return DriftReport(out, out / PAGE)


def summary(drift: Drift) -> DriftSummary:
    """The result without its tests, as plain data."""
    return {
        "model": drift.question.model, "new": drift.question.new, "rows": drift.rows, "model_rows": drift.model_rows,
        "drifted": bool(drift.drifted), "alarm": drift.alarm, "score": drift.score,
        "columns": sorted({finding.subject.name for finding in drift.drifted if finding.subject.group == "column"}),
        "settings": drift.section.model_dump(mode="json"),
        "quality": {name: {"reference": before, "new": now} for name, (before, now) in drift.quality.items()},
        "estimate": estimate_answer(drift.estimate), "unseen_classes": unseen_classes(drift),
        "training_table": drift.training_table,
    }  # fmt: skip


def unseen_classes(drift: Drift) -> list[UnseenClassAnswer]:
    """Labels that are no class of the model, as plain data."""
    return [
        {"name": name, "rows": rows, "spelling_of": respelled(name, drift.classes)}
        for name, rows in drift.unseen_classes.items()
    ]


def lines_of(drift: Drift) -> list[DriftTestAnswer]:
    """One line per test, as plain data."""
    return [_line(drift, finding) for finding in drift.findings]


def _line(drift: Drift, finding: Finding) -> DriftTestAnswer:
    subject, test = finding.subject, finding.comparison
    return {
        "name": subject.name, "group": subject.group, "aspect": finding.aspect, "test": test.method,
        "statistic": test.statistic, "p": test.p, "adjusted": finding.adjusted, "effect": test.effect,
        "shift": _number(test.shift), "psi": _number(test.psi), "verdict": finding.verdict,
        "says": _described(drift, finding),
    }  # fmt: skip


def _described(drift: Drift, finding: Finding) -> str:
    subject = finding.subject
    return sentence(finding, None if subject.group == "model" else drift.words.get(subject.name))


def _number(value: float | None) -> float | None:
    """None for what JSON cannot express: infinity and NaN."""
    return value if value is not None and math.isfinite(value) else None


def _figures(drift: Drift) -> dict[str, Figure]:
    figures = {"effects": plots.drift_effects(dict(map(_effect, drift.findings[:MOST_BARS])))}
    # Missing cells have no distribution to plot.
    drifted = _samples([finding for finding in drift.drifted if finding.aspect != "missing"][:MOST_PANELS])
    if drifted:
        figures["drifted"] = plots.reference_and_new(drifted)
    model_findings = [finding for finding in drift.findings if finding.subject.group == "model"]
    # With or without drift: a reader wants to see that the model still fits.
    always = _samples([finding for finding in model_findings if finding.subject.name in HEADLINES])
    always = {name: samples for name, samples in always.items() if name not in drifted}
    if always:
        figures["model"] = plots.reference_and_new(always)
    return figures


def _effect(finding: Finding) -> tuple[str, tuple[float, str]]:
    """The bar of a test: its name, effect and verdict."""
    aspect = "" if finding.aspect == "values" else f": {finding.aspect}"
    return f"{heading(finding.subject)}{aspect}", (finding.comparison.effect, finding.verdict)


def _samples(findings: list[Finding]) -> dict[str, tuple[Sample, Sample]]:
    return {heading(finding.subject): (finding.subject.reference, finding.subject.new) for finding in findings}


def _cells(finding: Finding) -> list[str]:
    """A line of the table of all tests."""
    test = finding.comparison
    numbers = ["" if value is None else figure(value, 2) for value in (test.shift, test.psi)]
    name = shortened(heading(finding.subject), LONGEST_NAME)
    return [name, finding.aspect, test.method, share(test.effect, 2), *numbers,
            f"{finding.adjusted:.3g}", finding.verdict]  # fmt: skip


def estimate_answer(estimate: EstimatedAccuracy | None) -> EstimateAnswer | None:
    """An estimate as plain data."""
    if estimate is None:
        return None
    return {"accuracy": estimate.accuracy, "low": estimate.low, "high": estimate.high, "shift": estimate.shift}


def estimated(drift: Drift) -> str:
    """The accuracy of the new rows as estimated without their labels, in a sentence; empty without classes."""
    if drift.estimate is None:
        return ""
    accuracy, low, high, _ = drift.estimate
    interval = f"90% interval {share(low)} to {share(high)}"
    return f" Without labels, their accuracy is estimated at {share(accuracy)} ({interval})."


def verdict(drift: Drift) -> str:
    """The result in one or two sentences: the number of tests with drift, and whether that calls for a retrain."""
    if not drift.drifted:
        return (
            f"No drift: none of {len(drift.findings)} tests found a change that is both significant and large enough."
        )
    reached = "reaches" if drift.reached else "does not reach"
    level = share(drift.section.level) if drift.section.level else "any drift"
    known = " But they are the table that the model was trained on: no retrain follows." if drift.training_table else ""
    return (
        f"Drift: {len(drift.drifted)} of {len(drift.findings)} tests found a change. The largest change affects "
        f"{share(drift.score)} of the rows, which {reached} the level of a retrain ({level}).{known}"
    )


FIGURES = {"effects": "Size of the changes", "drifted": "What drifted", "model": "Statistics of the model"}
"""Titles of the figures."""


def drift_page(drift: Drift, figures: list[Path]) -> str:
    """The report as one self-contained page.

    Args:
        drift: the result of the comparison.
        figures: PNG files, named as in `FIGURES`.
    """
    section = drift.section
    of_cells = f"missing cells, new categories: {share(section.smallest_share)}"
    explained = (
        f"The reference of the model was compared with {counted(drift.rows, 'new row')}, {drift.model_rows:,} of which "
        f"went through the model. If the new rows are drawn like the reference, at most "
        f"{share(section.false_alarms, 0)} of such reports show drift: p-values are corrected for all "
        f"{len(drift.findings)} tests (Holm). Changes of less than {share(section.smallest_effect)} of the rows "
        f'({of_cells}) get the verdict "trifle".{estimated(drift)}'
    )
    unseen = [
        (shortened(each["name"], LONGEST_NAME), f"{each['rows']:,}", each["spelling_of"] or "")
        for each in unseen_classes(drift)
    ]
    return render(
        "drift.html", name=drift.name, verdict=verdict(drift), explained=explained,
        asked=[("model", drift.question.model), ("new rows", drift.question.new)],
        changes=[_described(drift, finding) for finding in drift.drifted],
        unseen=unseen,
        quality=[(name, figure(before), figure(now)) for name, (before, now) in drift.quality.items()],
        figures=[(FIGURES[figure.stem], Picture.of(figure)) for figure in figures],
        tests=[_cells(finding) for finding in drift.findings], made=provenance().items(),
    )  # fmt: skip
