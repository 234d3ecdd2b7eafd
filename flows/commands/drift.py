"""The command that watches a model's data."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from flows.commands import as_json, finish, tracking_option

DRIFTED = 3
"""Exit code of `--fail` where there is drift."""


@click.command()
@click.argument("model")
@click.argument("new")
@click.option("--out", type=click.Path(path_type=Path), help="Folder, or a file ending in .html, for the report.")
@click.option("--level", type=click.FloatRange(0, 1),
              help="Share of rows that must have changed before a retrain starts (default: the model's drift.level).",
              )  # fmt: skip
@click.option("--false-alarms", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Share of unchanged batches that are called drift, at most (default: the model's).")  # fmt: skip
@click.option("--retrain", "job", type=click.Path(),
              help="Job (YAML) to run where drift reaches the level; its data.path says on which rows.")  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Override a key of that job, such as data.path=NEW.csv.")  # fmt: skip
@click.option("--fail", is_flag=True, help="End with exit code 3 where there is drift.")
@click.option("--force", is_flag=True, help="Overwrite --out.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, or a GPU by name.")
@tracking_option
@as_json
def drift(
    model: str, new: str, *, out: Path | None, job: str | None, overrides: tuple[str, ...], tracking_uri: str | None,
    fail: bool, json_out: bool, **settings: Any,
) -> int:  # fmt: skip
    """Compare NEW rows with what MODEL was measured on; can start a retrain.

    MODEL is models:/NAME@champion, models:/NAME/VERSION, the id of a run, or a folder; NEW a CSV, Parquet or Arrow
    file, a folder or a glob.
    """
    if overrides and job is None:
        raise click.UsageError("--set changes the job of --retrain, which is missing.")
    settings |= {"out": None if out is None else str(out), "retrain_config": job, "overrides": list(overrides)}
    from tasks.orchestration.warm_server import server_under_way

    with server_under_way():
        from flows.monitor import monitor
        from flows.show.drift import show_drift
        from tasks.orchestration.flow_runs import owned

    with _store(tracking_uri), owned():
        result: Any = monitor(model, new, tracking_uri=tracking_uri, **settings)
        show_drift(result)
        finish(result, json_out=json_out)
    return DRIFTED if fail and result["drifted"] else 0


@contextmanager
def _store(uri: str | None) -> Iterator[None]:
    """Makes the tracking store of the command line that of all runs inside, the retrain's included."""
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
