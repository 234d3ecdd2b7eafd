"""The result of a retrain, on the terminal: tables of at most 80 columns, with units, directions and verdicts."""

import os
from shlex import quote

from rich.table import Table

from varjepa.amounts import amount, counted, figure, share
from varjepa.config import RetrainConfig
from varjepa.config.durations import in_words
from varjepa.flows.show.console import console, plain, print_table, shows_plain
from varjepa.flows.show.verdicts import FIGURES, OPEN, held, losing_sentence, verdict
from varjepa.redaction import redacted_uri
from varjepa.tasks.answers.retrain import ModelAnswer, RetrainAnswer
from varjepa.tasks.registry.champion import CHAMPION
from varjepa.tasks.release.verdict import guessing
from varjepa.tasks.tracking.store import run_link
from varjepa.tasks.tracking.uris import tracking_uri

QUALITY = {
    "accuracy": "accuracy ↑",
    "balanced_accuracy": "balanced accuracy ↑",
    "f1_weighted": "F1, weighted ↑",
    "f1_macro": "F1, macro ↑",
    "rmse": "RMSE, label unit ↓",
    "r2": "R2 ↑",
    "crps": "CRPS, label unit ↓",
}
"""Metric -> its name, with an arrow to where it is better."""

COLUMNS = {"head": "ships", "probe": "embedding, linear", "raw": "raw, linear", "boosted": "raw, trees"}
"""Group of metrics -> title: the head that ships, the linear probe, and the baselines on raw columns."""

SELECTIVE = {
    "accuracy_90": "accuracy of the surest 90% ↑",
    "accuracy_80": "accuracy of the surest 80% ↑",
    "accuracy_50": "accuracy of the surest 50% ↑",
    "aurc": "area under risk and coverage ↓",
    "failure_auroc": "wrong rows ranked last, AUC ↑",
}
RANKINGS = {"selective_shipped": "ships", "selective": "latent", "selective_msp": "max. prob."}
"""Group of metrics -> what ranks the rows."""

LEGEND = {
    "head": "what the model answers with, beside baselines", "selective_shipped": "the measure chosen",
    "selective": "latents' scales", "selective_msp": "1 - largest p",
}  # fmt: skip
"""Group of metrics -> what the title of its column means."""

CONTENTS = (("interval", "intervals hold the number", "width"), ("set", "sets hold the class", "size"))
"""Group of metrics, what it promises, and the name of its mean size."""

SIZES = {"interval": "size: mean width of the intervals", "set": "size: mean number of classes in a set"}
"""Group of metrics -> what its size is."""


LEVELS = (0.9, 0.8, 0.7)
"""Accuracies to ask for where no row can be accepted."""


@shows_plain
def show_result(result: RetrainAnswer, config: RetrainConfig) -> None:
    """The tables at the end of a retrain, and how to open the run."""
    metrics, model = result["metrics"], result["model"]
    data, seconds = result["data"], result["seconds"]
    _groups(_rows_title(metrics, model), QUALITY, COLUMNS, metrics)
    if "selective_msp/aurc" in metrics:
        _groups("Who is sure is right? Rows ranked by uncertainty of", SELECTIVE, RANKINGS, metrics)
    _promises(metrics, config.uncertainty.confidence)
    _figures(metrics)
    for sentence in guessing(metrics):
        console.print(sentence)
    if losing := losing_sentence(metrics):
        console.print(losing)
    console.print(
        f"{counted(data['rows'], 'row')}, {data['quarantined']:,} quarantined, {counted(data['features'], 'feature')}"
    )
    slow = sorted(seconds.items(), key=lambda item: -item[1])
    parts = ", ".join(f"{step} {in_words(value)}" for step, value in slow if step != "total" and value >= 1)
    console.print(f"{in_words(seconds['total'])} in all: {parts or 'no step took a second'}")
    verdict_words = "[green]promoted to champion[/green]" if result["promoted"] else "[yellow]not promoted[/yellow]"
    named = f"{model['uri']} ({', '.join(model['aliases'])})" if model["uri"] else f"{model['name']}, not registered"
    console.print(f"[b]{named}[/b]: {verdict_words}")
    show_reason(result["reason"])
    # Never wrapped: a command, a path or a URI is copied as a whole.
    console.print(f"run {result['run_id']}", soft_wrap=True)
    console.print(f"in {redacted_uri(tracking_uri(config.tracking))}", soft_wrap=True)
    if page := run_link(config.tracking, result["run_id"]):
        console.print(f"Open the run: {plain(page)}", soft_wrap=True)
    else:
        console.print(f"Open the tracking UI: [b]varjepa ui{_where(config)}[/b]", soft_wrap=True)
    if model["uri"]:
        console.print(f"Score new rows: [b]varjepa score {_as_argument(model)} NEW.csv OUT.csv{_where(config)}[/b]",
                      soft_wrap=True)  # fmt: skip


def _rows_title(metrics: dict[str, float], model: ModelAnswer) -> str:
    """What the figures rest on: the test rows that have a label, which may be few."""
    rows = metrics.get("data/labelled_test_rows")
    where = "test rows" if rows is None else counted(rows, "labelled test row")
    version = f"version {model['version']}" if model["version"] else "not registered"
    return f"{model['name']} {version}: {where}"


def _groups(title: str, names: dict[str, str], groups: dict[str, str], metrics: dict[str, float]) -> None:
    """One row per metric that any of the groups has, one column per group that has any."""
    present = {group: words for group, words in groups.items() if any(f"{group}/{name}" in metrics for name in names)}
    if not present:
        return
    table = Table("", title=title, title_justify="left")
    for words in present.values():
        table.add_column(words, justify="right")
    for name, words in names.items():
        cells = [figure(metrics[key]) if (key := f"{group}/{name}") in metrics else "" for group in present]
        if any(cells):
            table.add_row(words, *cells)
    print_table(table, console)
    if meanings := [f"{words}: {LEGEND[group]}" for group, words in present.items() if group in LEGEND]:
        console.print("; ".join(meanings), style="dim")


def _promises(metrics: dict[str, float], confidence: float) -> None:
    """What was promised of new rows, and what test rows show."""
    table = Table("promise", title="Promises", title_justify="left")
    for words in ("promised", "measured", "of rows", "size"):
        table.add_column(words, justify="right")
    table.add_column("verdict")
    rows = metrics.get("data/labelled_test_rows", 0.0)
    legend = next((text for group, text in SIZES.items() if f"{group}/coverage" in metrics), "")
    for group, words, size in CONTENTS:
        if f"{group}/coverage" in metrics:
            promised, measured = metrics[f"{group}/promised"], metrics[f"{group}/coverage"]
            table.add_row(
                words, share(promised), share(measured), "100%", amount(metrics[f"{group}/{size}"]),
                held(promised, measured, rows),
            )  # fmt: skip
    if "certificate/coverage" in metrics:
        accuracy, within = metrics.get("certificate/accuracy"), metrics.get("certificate/tolerance")
        words = "accepted rows are right" if within is None else f"accepted within {amount(within)}"
        promised, accepted = metrics["certificate/promised"], metrics["certificate/coverage"]
        shown = "none" if accuracy is None else share(accuracy)
        judged = "none" if accuracy is None else held(promised, accuracy, accepted * rows)
        table.add_row(words, share(promised), shown, share(accepted), "", judged)
    if table.row_count:
        print_table(table, console)
        if legend:
            console.print(legend, style="dim")
    if "open" in table.columns[-1].cells:
        console.print(OPEN, style="dim")
    if "certificate/coverage" in metrics and "certificate/accuracy" not in metrics:
        console.print(f"No row can be accepted at this level. {_to_accept_some(metrics, confidence)}", soft_wrap=True)


def _to_accept_some(metrics: dict[str, float], confidence: float) -> str:
    """What to do where no row is accepted: ask for less, as far as the calibration rows can show that, or get more."""
    from varjepa.evaluation.uncertainty.certificate import rows_needed  # imports SciPy

    rows = metrics.get("certificate/rows", float("inf"))
    lower = [level for level in LEVELS if level < metrics["certificate/promised"]]
    possible = next((level for level in lower if rows_needed(level, confidence) <= rows), None)
    if possible is not None:
        return f"Some may be at a lower one:\n  [b]--set uncertainty.accuracy={possible}[/b]"
    return "Only more rows, or a better model, can change that."


def _figures(metrics: dict[str, float]) -> None:
    """Single figures with a word on what they mean."""
    table = Table("figure", title="The model itself", title_justify="left")
    table.add_column("value", justify="right")
    table.add_column("verdict")
    for name, shown in FIGURES.items():
        if name in metrics:
            table.add_row(shown.words, f"{metrics[name]:z{shown.digits}}", verdict(name, metrics[name]))
    if table.row_count:
        print_table(table, console)


def show_reason(reason: str) -> None:
    """The reason of a gate, made `plain`, one part per line, vetoes in red."""
    for part in reason.split("; "):
        style = "red" if "refused by" in part else ""
        console.print(f"  {part}", style=style or None)


def _as_argument(model: ModelAnswer) -> str:
    """The version on a command line: by its alias where it has become the champion, so that the line stays right."""
    return quote(f"models:/{model['name']}@{CHAMPION}" if CHAMPION in model["aliases"] else str(model["uri"]))


def _where(config: RetrainConfig) -> str:
    """The option that other commands need to find the run; empty where they look there anyway."""
    changed = not os.environ.get("MLFLOW_TRACKING_URI") and config.tracking.uri != type(config.tracking)().uri
    return f" --tracking-uri {plain(quote(redacted_uri(config.tracking.uri)))}" if changed else ""
