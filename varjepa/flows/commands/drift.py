"""The command that tests new data for drift."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from varjepa.flows.commands import NumberRange, as_json, command, finish, from_place, model_argument, tracking_option
from varjepa.flows.commands.checks import require_columns, require_files, require_job, require_model

DRIFTED = 3
"""Exit code of `--fail` if there is drift."""


@command(
    "varjepa drift models:/people@champion new.csv --out report.html",
    "varjepa drift models:/people@champion new.csv --retrain people.yaml --set data.path=new.csv",
)
@model_argument
@click.argument("new")
@from_place
@click.option("--out", type=click.Path(path_type=Path), help="Folder or .html file for the report.")
@click.option("--level", type=NumberRange(0, 1),
              help="Effect, as a share of rows, at which a retrain starts (default: the model's drift.level).",
              )  # fmt: skip
@click.option("--false-alarms", type=NumberRange(0, 1, min_open=True, max_open=True),
              help="Maximum share of unchanged batches that are reported as drift (default: the model's).")  # fmt: skip
@click.option("--retrain", "job", type=click.Path(),
              help="Job (YAML) to run if drift reaches the level; its data.path names the table.")  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Override a key of that job, such as data.path=NEW.csv.")  # fmt: skip
@click.option("--fail", is_flag=True, help="Exit with code 3 if there is drift.")
@click.option("--force", is_flag=True, help="Overwrite --out.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, or a GPU by name.")
@tracking_option
@as_json
def drift(
    model: str, new: str, *, out: Path | None, job: str | None, overrides: tuple[str, ...], tracking_uri: str | None,
    fail: bool, json_out: bool, **settings: Any,
) -> int:  # fmt: skip
    """Compare NEW rows with the reference of MODEL; can start a retrain.

    MODEL is models:/NAME@champion, models:/NAME/VERSION, a run id, or a folder. NEW is a CSV, Parquet or Arrow file, or
    a folder or glob of such files.
    """
    if overrides and job is None:
        raise click.UsageError("--set changes the job of --retrain, but --retrain is missing.")
    from varjepa.tasks.drift.places import require_report

    # Everything that may be wrong in the command, before Prefect starts and anything heavy is imported.
    require_files((new,), None, {}, settings["reading"])  # first: it may hold a password
    require_model(model, tracking_uri)
    if out is not None:
        require_report(out, force=settings["force"])
    require_columns(model, tracking_uri, new, {}, settings["reading"])
    if job is not None:
        require_job(job, overrides)
    settings |= {"out": None if out is None else str(out), "retrain_config": job, "overrides": list(overrides)}
    from varjepa.tasks.orchestration.warm_server import server_under_way

    with server_under_way():
        from varjepa.flows.monitor import monitor
        from varjepa.flows.show.drift import show_drift
        from varjepa.tasks.orchestration.flow_runs import owned

    with _store(tracking_uri), owned():
        result: Any = monitor(model, new, tracking_uri=tracking_uri, **settings)
        show_drift(result)
        finish(result, json_out=json_out)
    return DRIFTED if fail and result["drifted"] else 0


@contextmanager
def _store(uri: str | None) -> Iterator[None]:
    """Makes the tracking store of the command line the default of all runs inside, also of the retrain."""
    name = "MLFLOW_TRACKING_URI"
    before = os.environ.get(name)
    if uri is not None:
        os.environ[name] = uri
    try:
        yield
    finally:
        if uri is not None:
            os.environ.pop(name, None)
            os.environ.update({} if before is None else {name: before})
