"""Tables for people, on stderr."""

import os
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tasks.doctor import Check
from tasks.initialise import Started
from tasks.uris import hidden_credentials, tracking_uri
from varjepa.config import RetrainConfig

console = Console(stderr=True, highlight=False)

SHOWN = ("accuracy", "balanced_accuracy", "f1_weighted", "f1_macro", "rmse", "r2")
SELECTIVE = ("accuracy_90", "accuracy_80", "accuracy_50", "aurc", "failure_auroc")
OTHER = ("calibration/ece", "calibration/latent_pit_ks", "imputation/rmse_to_mean", "samples/auc",
         "anomaly/auroc", "elbo/val", "prediction/val",
         "latent/active_units", "latent/rankme")  # fmt: skip


def show_result(result: dict[str, Any], config: RetrainConfig) -> None:
    """The table at the end of a retrain, and where to look."""
    metrics, model = result["metrics"], result["model"]
    table = Table("test rows", "embedding", "raw features", title=_title(model))
    _pairs(table, metrics, SHOWN, "probe", "raw")
    if "selective_msp/aurc" in metrics:
        table.add_section()
        latent = "[b]latent[/b]" if "selective/aurc" in metrics else ""
        table.add_row("[b]selective by[/b]", latent, "[b]max. probability[/b]")
        _pairs(table, metrics, SELECTIVE, "selective", "selective_msp")
        if "certificate/coverage" in metrics:
            table.add_section()
            table.add_row("[b]certificate[/b]", "[b]promised[/b]", "[b]kept[/b]")
            kept = metrics.get("certificate/accuracy")
            shown = "accepts nothing" if kept is None else f"{kept:.4f} of {metrics['certificate/coverage']:.1%}"
            table.add_row("accuracy of accepted rows", f"{metrics['certificate/promised']:.4f}", shown)
    table.add_section()
    for name in OTHER:
        if name in metrics:
            table.add_row(name, f"{metrics[name]:.4f}", "")
    console.print(table)
    data, seconds = result["data"], result["seconds"]
    console.print(f"{data['rows']:,} rows, {data['quarantined']:,} quarantined, {data['features']} features")
    console.print("  ".join(f"{step} {value:.1f} s" for step, value in seconds.items()))
    verdict = "[green]promoted to champion[/green]" if result["promoted"] else "[yellow]not promoted[/yellow]"
    named = f"{model['uri']} ({', '.join(model['aliases'])})" if model["uri"] else f"{model['name']}, not registered"
    console.print(f"[b]{escape(named)}[/b]: {verdict}")
    show_reason(result["reason"])
    console.print(f"run {result['run_id']} in {hidden_credentials(tracking_uri(config.tracking))}")
    console.print(f"Look at it: [b]{_ui_command(config)}[/b]")


def _title(model: dict[str, Any]) -> str:
    return f"{model['name']} version {model['version']}" if model["version"] else f"{model['name']}, dry run"


def show_reason(reason: str) -> None:
    """Each part of a gate's reason on a line of its own, vetoes in red."""
    for part in reason.split("; "):
        style = "red" if "refused by" in part else ""
        console.print(f"  {part}", style=style or None, markup=False)


def _ui_command(config: RetrainConfig) -> str:
    changed = not os.environ.get("MLFLOW_TRACKING_URI") and config.tracking.uri != type(config.tracking)().uri
    return f"varjepa ui --tracking-uri {config.tracking.uri}" if changed else "varjepa ui"


def _pairs(table: Table, metrics: dict[str, float], names: tuple[str, ...], left: str, right: str) -> None:
    for name in names:
        cells = [f"{metrics[key]:.4f}" if (key := f"{group}/{name}") in metrics else "" for group in (left, right)]
        if any(cells):
            table.add_row(name, *cells)


def show_study(result: dict[str, Any]) -> None:
    """Ours beside the published means, one line per variant and latent, and whether deterministic JEPA collapsed."""
    rows: dict[tuple[str, str], list[str]] = {}
    for cell in result["table"]:
        row = rows.setdefault((cell["variant"], cell["latent"]), [])
        row.append(f"{cell['ours']:.4g} ({cell['published']:.4g})")
    names = list(dict.fromkeys(cell["diagnostic"] for cell in result["table"]))
    table = Table("variant", "latent", *names, title="ours (published)")
    for (variant, latent), cells in rows.items():
        table.add_row(variant, latent, *cells)
    console.print(table)
    for name, metrics in result["models"].items():
        console.print(
            f"{name}: RankMe of s_x {metrics['s_x/rankme']:.2f}, {metrics['s_x/active_units']:.1f} active units"
        )
    console.print(f"run {result['run_id']}, report {result['report']}, {result['seconds']['total']:.0f} s")


def show_benchmark(result: dict[str, Any]) -> None:
    """Ours beside the published figures, one line per data set and feature set."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in result["table"]:
        if row["metric"] in ("accuracy", "r2"):
            published = "" if row["published"] is None else f" ({row['published']:.3f})"
            line = rows.setdefault((row["dataset"], row["features"]), {})
            line[row["predictor"]] = f"{row['mean']:.4f}{published}"
    names = list(dict.fromkeys(name for line in rows.values() for name in line))
    table = Table("data set", "features", *names, title="accuracy or R2 on test rows, ours (published)")
    for (dataset, features), line in rows.items():
        table.add_row(dataset, features, *(line.get(name, "") for name in names))
    console.print(table)
    for pair, counts in result["tally"].items():
        console.print(f"{pair}: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    console.print(f"run {result['run_id']}, report {result['report']}, {result['seconds']['total']:.0f} s")


def show_profile(started: Started) -> None:
    """What `init` saw, and what it wrote."""
    table = Table("column", "kind", "missing", "distinct", "range", title=f"{started.rows:,} rows")
    for name, facts in started.profiles.items():
        span = "" if facts.smallest is None else f"{facts.smallest} to {facts.largest}"
        kind = f"{facts.kind} (left out)" if facts.left_out else facts.kind
        kind = "label" if name == started.label else kind
        table.add_row(name, kind, f"{facts.missing_share:.1%}", f"{facts.distinct:,}", span)
    console.print(table)
    console.print(
        f"Wrote {started.config} and {started.contract}. Review both, then: [b]varjepa retrain {started.config}[/b]"
    )


def show_models(found: list[dict[str, Any]]) -> None:
    """Registered versions, newest first."""
    table = Table("model", "version", "aliases", "gate", "made", "accuracy or R2", "rows", "run")
    for entry in found:
        quality = entry["quality"]
        table.add_row(
            entry["name"], str(entry["version"]), ", ".join(entry["aliases"]), _gate(entry["gate"]), entry["created"],
            "" if quality is None else f"{quality:.4f}", entry["rows"], entry["run_id"] or "",
        )  # fmt: skip
    console.print(table if found else "Nothing is registered yet. Start with: [b]varjepa retrain configs/demo.yaml[/b]")


def _gate(said: dict[str, str]) -> str:
    return f"[red]refused by {said['vetoes']}[/red]" if said["vetoes"] else said["outcome"]


def show_history(events: list[dict[str, Any]]) -> None:
    """Who became champion when, newest first."""
    for event in events:
        before = f"after version {event['before']}" if event["before"] is not None else "as the first one"
        console.print(
            f"{event['time']}  {event['name']} version {event['version']} became champion {before}, "
            f"by {event['by']} ({event['who']}): {event['reason'].split('; ')[0]}", markup=False,
        )  # fmt: skip


def show_move(result: dict[str, Any]) -> None:
    """What `promote` or `rollback` did, or would do."""
    if "gate" in result:
        console.print("Its gate said:")
        show_reason(result["gate"]["reason"])
    would = "would become" if result["dry_run"] else "is now" if result["moved"] else "already was"
    before = f" (before: version {result['before']})" if result["before"] not in (None, result["version"]) else ""
    console.print(f"[b]{result['uri']}[/b] {would} the champion{before}")


def show_checks(checks: list[Check]) -> None:
    """What the doctor found."""
    table = Table("", "check", "found", "what to do")
    for check in checks:
        table.add_row("[green]ok[/green]" if check.ok else "[red]bad[/red]", check.name, check.found, check.fix)
    console.print(table)


def show_summary(result: dict[str, Any]) -> None:
    """What came of going over a file."""
    shares = {name: f", {result[name]:.1%} {name}" for name in ("accepted",) if name in result}
    cells = f", {result['cells']:,} cells filled" if "cells" in result else ""
    files = f" of {result['scored']} files" if "files" in result else ""
    console.print(
        f"{result['rows']:,} rows{files}{cells}{''.join(shares.values())} to [b]{result['out']}[/b], "
        f"{result['seconds']:.1f} s, {result['rows_per_second']:,} rows/s"
    )
