"""Commands that apply a model to files."""

from collections.abc import Callable
from datetime import date
from typing import Any

import click

from varjepa.flows.commands import (
    NumberRange,
    as_json,
    command,
    dask_option,
    finish,
    from_place,
    model_argument,
    names,
    over_days,
    tracking_option,
)
from varjepa.flows.commands.checks import loading, require_columns, require_files, require_model
from varjepa.tasks.answers.tables import FileAnswer
from varjepa.tasks.lineage.run import lineage
from varjepa.tasks.lineage.tables import model_in


def over_files(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of commands that apply a model to files."""
    for option in (
        as_json,
        click.option("--dry-run", is_flag=True, help="Only check, and show what would be read and written."),
        click.option("--force", is_flag=True, help="Replace OUT."),
        click.option("--append", is_flag=True, help="Add rows to OUT, a Delta table or a table of a database."),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, or a GPU by name."),
        click.option("--precision", type=click.Choice(["float32", "bfloat16", "auto"]), default="float32",
                     show_default=True, help="Precision of matrix products; auto: bfloat16 if native."),
        click.option("--batch-size", type=click.IntRange(min=0), default=0,
                     help="Rows per batch; affects only memory (0: default)."),
        tracking_option,
    ):  # fmt: skip
        command = option(command)
    return command


@command(
    "varjepa score models:/people@champion new.csv scores.parquet --keep id",
    "varjepa score models:/people@champion new.csv scores.parquet --dry-run",
    "varjepa score models:/people@champion 'in/{{run_date}}.csv' '{{run_date}}.csv' --from 2026-06-01 --to 2026-06-30",
)
@model_argument
@click.argument("source", metavar="IN")
@click.argument("out")
@click.option("--columns", default="embedding,uncertainty,prediction,anomaly", show_default=True,
              help="Groups of columns to write; the group oddity has one column per feature.")  # fmt: skip
@click.option("--keep", default="", help="Columns of IN to copy to OUT, such as an identifier.")
@click.option("--runner", type=click.Choice(["processes", "threads", "dask"]),
              help="Score the files or objects of IN in parallel; OUT is then a folder of such files.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=0), default=0, help="Files in parallel (default: one per core).")
@dask_option
@from_place
@over_days
@over_files
def score(
    model: str, source: str, out: str, columns: str, *, reading: dict[str, Any], days: list[date],
    keep: str, runner: str | None, workers: int, dask_address: str | None, **options: Any,
) -> int:  # fmt: skip
    """Write embedding, uncertainty, prediction, accept and anomaly of every row of IN to OUT.

    MODEL is models:/NAME@champion, models:/NAME/VERSION, a run id, or a folder. IN is a CSV, Parquet or Arrow file, a
    folder or glob of such files, or the URI of a table (s3://, https://, delta://, postgresql://...). OUT ends in
    .parquet or .csv (also in s3://, gs://, az://), or is a table: delta://FOLDER, or DATABASE#TABLE. Tables may be
    larger than memory.

    With --from and --to, one file is written for each day, with the day for {{ run_date }} in IN and OUT. Days whose
    file is there are left out. Exit code 2 if a day's rows cannot be read.
    """
    from varjepa.inference.column_groups import require_known

    groups, kept = names(columns), names(keep)
    require_known(groups)
    if days and (runner is not None or options["append"] or options["dry_run"]):
        raise click.UsageError("--from and --to write one file a day: leave out --runner, --append and --dry-run.")
    if runner is not None:
        if options["append"]:
            raise click.UsageError("--runner appends to nothing.")
        require_model(model, options["tracking_uri"])
        require_files((source,), None, options, reading)
        require_columns(model, options["tracking_uri"], source, {"--keep": kept}, reading)
        if options["dry_run"]:
            show_dry_run(model, (source,), out, options, reading=reading, keep=kept, groups=groups)
            return 0
        from varjepa.flows.score import score_files
        from varjepa.flows.show.scoring import show_summary

        where: dict[str, Any] = {"runner": runner, "workers": workers, "dask_address": dask_address}
        result = score_files(model, source, out, groups, kept, **where, options=options)
        show_summary(result)
        finish(result, json_out=options["json_out"])
        return 0
    files = {"source": source, "out": out, "keep": kept, "reading": reading}
    if days:
        return _score_days(model, files, options, groups, days)
    _infer(model, files, options, lambda steps, trained, request: steps.score(trained, request, groups), groups)
    return 0


def _score_days(
    model: str, files: dict[str, Any], options: dict[str, Any], groups: tuple[str, ...], days: list[date]
) -> int:
    """Scores day by day."""
    from varjepa.tasks.destinations.destination import require_other_place
    from varjepa.tasks.sources.run_day import require_dated, with_day

    require_dated("IN", [files["source"], *files["reading"].get("parameters", {}).values()])
    require_dated("OUT", [files["out"]])
    require_other_place(files["source"], files["out"])
    require_model(model, options["tracking_uri"])
    with loading():
        from varjepa.flows.show.scoring import show_days
        from varjepa.tasks.registry.open_model import open_model
        from varjepa.tasks.scoring.days import score_days
        from varjepa.tasks.scoring.lineage import note_files
        from varjepa.tasks.scoring.one_file import Request

    trained = open_model(model, options["tracking_uri"], options["device"], options["precision"])
    request = Request(**files, batch_size=options["batch_size"], force=options["force"])
    with lineage("score", model_in(model)):
        result = score_days(trained, request, groups, days)
        for day in result["days"]:
            if day["state"] == "scored":
                source = with_day(files["source"], date.fromisoformat(day["day"]))
                note_files(model, options["tracking_uri"], source, day["out"], day["rows"])
    show_days(result)
    finish(result, json_out=options["json_out"])
    return 2 if any(day["state"] == "failed" for day in result["days"]) else 0


@command("varjepa impute models:/people@champion new.csv filled.csv")
@model_argument
@click.argument("source", metavar="IN")
@click.argument("out")
@click.option("--draws", type=click.IntRange(min=0), default=0, show_default=True,
              help="Joint draws of missing cells instead of estimates; OUT has each row once per draw.")  # fmt: skip
@click.option("--level", type=NumberRange(0, 1, min_open=True, max_open=True), default=0.9, show_default=True,
              help="Coverage of the intervals.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the draws.")
@from_place
@over_files
def impute(
    model: str, source: str, out: str, *, reading: dict[str, Any], draws: int, level: float, seed: int, **options: Any
) -> None:
    """Write IN to OUT with its missing cells filled, each with an interval or a probability.

    MODEL, IN and OUT are as for `score`.
    """
    settings: dict[str, Any] = {"draws": draws, "level": level, "seed": seed}
    files = {"source": source, "out": out, "reading": reading}
    _infer(model, files, options, lambda steps, trained, request: steps.impute(trained, request, **settings))


@command("varjepa sample models:/people@champion 1000 drawn.csv")
@model_argument
@click.argument("rows", type=click.IntRange(min=0), metavar="N")
@click.argument("out")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the rows.")
@click.option("--gaps/--no-gaps", default=True, show_default=True, help="Leave cells missing as in rows of the table.")
@over_files
def sample(model: str, rows: int, out: str, *, seed: int, gaps: bool, **options: Any) -> None:
    """Write N new rows, drawn from the learned distribution, to OUT.

    MODEL and OUT are as for `score`.
    """
    settings: dict[str, Any] = {"seed": seed, "gaps": gaps}
    files = {"source": "", "out": out}
    _infer(model, files, options, lambda steps, trained, request: steps.sample(trained, rows, request, **settings))


def show_dry_run(
    model: str, sources: tuple[str, ...], out: str, options: dict[str, Any], *, reading: dict[str, Any] | None = None,
    **written: tuple[str, ...],
) -> None:  # fmt: skip
    """Shows what a command over tables would do, after its arguments have been checked."""
    from varjepa.flows.show.scoring import show_file_plan
    from varjepa.tasks.scoring.dry_run import planned

    plan = planned(
        model, options["tracking_uri"], sources, out, reading=reading or {}, append=options["append"], **written
    )
    show_file_plan(plan)
    finish(plan, json_out=options["json_out"])


def _infer(
    model: str, files: dict[str, Any], options: dict[str, Any], run: Callable[..., FileAnswer],
    groups: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Checks what was asked for, opens the model, runs a step over files, and shows a summary."""
    # Names and places first: what opens a model takes seconds to import.
    require_model(model, options["tracking_uri"])
    require_files((files["source"],) if files["source"] else (), files["out"], options, files.get("reading"))
    if files["source"]:
        named = {"--keep": files.get("keep", ())}
        require_columns(model, options["tracking_uri"], files["source"], named, files.get("reading"))
    if options["dry_run"]:
        sources = (files["source"],) if files["source"] else ()
        written = {"keep": files.get("keep", ()), "groups": groups}
        show_dry_run(model, sources, files["out"], options, reading=files.get("reading"), **written)
        return
    with loading():
        from varjepa.flows.show.scoring import show_summary
        from varjepa.tasks.registry.open_model import open_model
        from varjepa.tasks.scoring import one_file
        from varjepa.tasks.scoring.lineage import note_files

    trained = open_model(model, options["tracking_uri"], options["device"], options["precision"])
    request = one_file.Request(**files, batch_size=options["batch_size"], force=options["force"],
                               append=options["append"])  # fmt: skip
    with lineage(str(click.get_current_context().info_name), model_in(model)):
        result = run(one_file, trained, request)
        note_files(model, options["tracking_uri"], files["source"], files["out"], result["rows"])
    show_summary(result)
    finish(result, json_out=options["json_out"])
