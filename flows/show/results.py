"""The result of a retrain, on the terminal."""

import os

from rich.table import Table

from flows.show.console import console, plain
from tasks.answers import ModelAnswer, RetrainAnswer
from tasks.tracking.uris import hidden_credentials, tracking_uri
from varjepa.config import RetrainConfig

SHOWN = ("accuracy", "balanced_accuracy", "f1_weighted", "f1_macro", "rmse", "r2", "crps")
COLUMNS = {"head": "head", "probe": "embedding, linear", "raw": "raw, linear", "boosted": "raw, trees"}
"""Group of metrics -> title: the head that ships, the linear probe, and the baselines on raw columns."""

SELECTIVE = ("accuracy_90", "accuracy_80", "accuracy_50", "aurc", "failure_auroc")
OTHER = ("calibration/ece", "calibration/latent_pit_ks_median", "imputation/rmse_to_mean", "samples/auc",
         "anomaly/auroc", "elbo/val", "prediction/val",
         "latent/active_units", "latent/rankme")  # fmt: skip


def show_result(result: RetrainAnswer, config: RetrainConfig) -> None:
    """The table at the end of a retrain, and how to open the run."""
    metrics, model = result["metrics"], result["model"]
    table = Table(_rows_title(metrics), *COLUMNS.values(), title=_title(model))
    _rows(table, metrics, SHOWN, tuple(COLUMNS))
    if "selective_msp/aurc" in metrics:
        table.add_section()
        latent = "[b]latent[/b]" if "selective/aurc" in metrics else ""
        table.add_row("[b]selective by[/b]", "[b]what ships[/b]", latent, "[b]max. probability[/b]")
        _rows(table, metrics, SELECTIVE, ("selective_shipped", "selective", "selective_msp"))
    _promises(table, metrics)
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
    console.print(f"[b]{plain(named)}[/b]: {verdict}")
    show_reason(result["reason"])
    console.print(f"run {result['run_id']} in {hidden_credentials(tracking_uri(config.tracking))}")
    console.print(f"Open the tracking UI: [b]{_ui_command(config)}[/b]")


def _promises(table: Table, metrics: dict[str, float]) -> None:
    """What was promised of new rows, and what test rows show."""
    if "interval/coverage" in metrics or "set/coverage" in metrics or "certificate/coverage" in metrics:
        table.add_section()
        table.add_row("[b]promises[/b]", "[b]guaranteed[/b]", "[b]measured[/b]")
    for group, size in (("interval", "width"), ("set", "size")):
        if f"{group}/coverage" in metrics:
            shown = f"{metrics[f'{group}/coverage']:.4f}, mean {size} {metrics[f'{group}/{size}']:.4g}"
            table.add_row(f"coverage of {group}s", f"{metrics[f'{group}/promised']:.4f}", shown)
    if "certificate/coverage" in metrics:
        accuracy, coverage = metrics.get("certificate/accuracy"), f"{metrics['certificate/coverage']:.1%}"
        shown = "accepts no row" if accuracy is None else f"{accuracy:.4f} of {coverage}"
        within = f", to within {metrics['certificate/tolerance']:.4g}" if "certificate/tolerance" in metrics else ""
        table.add_row(f"accuracy of accepted rows{within}", f"{metrics['certificate/promised']:.4f}", shown)


def _rows_title(metrics: dict[str, float]) -> str:
    """What the figures rest on: the test rows that have a label, which may be few."""
    rows = metrics.get("data/labelled_test_rows")
    return "test rows" if rows is None else f"{rows:,.0f} labelled test rows"


def _title(model: ModelAnswer) -> str:
    return f"{model['name']} version {model['version']}" if model["version"] else f"{model['name']}, dry run"


def show_reason(reason: str) -> None:
    """The reason of a gate, one part per line, vetoes in red."""
    for part in reason.split("; "):
        style = "red" if "refused by" in part else ""
        console.print(f"  {part}", style=style or None, markup=False)


def _ui_command(config: RetrainConfig) -> str:
    changed = not os.environ.get("MLFLOW_TRACKING_URI") and config.tracking.uri != type(config.tracking)().uri
    return f"varjepa ui --tracking-uri {config.tracking.uri}" if changed else "varjepa ui"


def _rows(table: Table, metrics: dict[str, float], names: tuple[str, ...], groups: tuple[str, ...]) -> None:
    """One row per metric that any of the groups has, one cell per group."""
    for name in names:
        cells = [f"{metrics[key]:.4f}" if (key := f"{group}/{name}") in metrics else "" for group in groups]
        if any(cells):
            table.add_row(name, *cells)
