"""The command line `varjepa`: composes flows and steps; people read stderr, programs the last line of stdout."""

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from varjepa import __version__
from varjepa.errors import VarjepaError, listed, nearest

QUIET = {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",  # the default of 20 is short on a busy machine
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",  # else a temporary server ends with tracebacks of its own
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # our own log says it in fewer words
    "PREFECT_LOGGING_EXTRA_LOGGERS": "varjepa",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # commands log outside of flows, too
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GOMP_SPINCOUNT": "20000",  # threads that spin for long while they wait bring a shared machine to a standstill
}

as_json = click.option("--json", "json_out", is_flag=True, help="Print one JSON object as the last line of stdout.")


def over_files(command: Callable[..., None]) -> Callable[..., None]:
    """The options of commands that go over files with a model."""
    for option in (
        as_json,
        click.option("--force", is_flag=True, help="Overwrite OUT."),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, or a GPU by name."),
        click.option("--batch-size", type=click.IntRange(min=0), default=0,
                     help="Rows at a time; changes nothing but memory."),
        click.option("--tracking-uri", help="Tracking store (default: MLFLOW_TRACKING_URI, or the local one)."),
    ):  # fmt: skip
        command = option(command)
    return command


class Commands(click.Group):
    """A group that names the nearest command for a mistyped one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            hint = nearest(name, self.commands) or f"Commands: {listed(self.commands)}."
            raise click.UsageError(f'No such command "{name}". {hint}')
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("--verbose", is_flag=True, help="Show the logs of Prefect and MLflow, and tracebacks of our own errors.")
def cli(*, verbose: bool) -> None:
    r"""Embeddings of table rows, learned without labels, that say how sure they are.

    \b
    Start with:  varjepa init DATA --label COLUMN
    then:        varjepa retrain CONFIG

    Exit codes: 0 done, 2 the input is at fault, 3 the data broke its contract, 1 anything else.
    """
    if not verbose:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
    _log_to_stderr()


@cli.command()
@click.argument("config", type=click.Path())
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, such as training.lr=1e-3."
)
@click.option("--fresh", is_flag=True, help="Make every step anew instead of reusing what has not changed.")
@as_json
def retrain(config: str, overrides: tuple[str, ...], *, fresh: bool, json_out: bool) -> None:
    """Train, measure and register a model as CONFIG (YAML) says."""
    from varjepa.config import load_config

    settings = load_config(config, overrides)
    from flows.retrain import retrain as flow
    from tasks.steps import start_fresh

    if fresh:
        start_fresh()
    result = flow(settings)
    from flows.show import show_result

    show_result(result, settings)
    _finish(result, json_out=json_out)


@cli.command()
@click.option("--variants", default="A,B,C,D,E,F,G,H,I,J", show_default=True, help="Which of the ten to train.")
@click.option("--runs", default=5, show_default=True, help="Runs per variant.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting, such as rows=2000.")
@click.option("--fresh", is_flag=True, help="Train everything anew instead of reusing what is there.")
@as_json
def simulate(variants: str, runs: int, overrides: tuple[str, ...], *, fresh: bool, json_out: bool) -> None:
    """Repeat the paper's simulation study and compare with its table."""
    from varjepa.config import study_config

    settings = study_config(overrides, variants=variants.split(","), runs=runs)
    from flows.show import show_study
    from flows.simulate import simulate as flow
    from tasks.steps import start_fresh

    if fresh:
        start_fresh()
    result = flow(settings)
    show_study(result)
    _finish(result, json_out=json_out)


@cli.command()
@click.option("--datasets", default="sim", show_default=True,
              help="Configs of retrain jobs: YAML files, or names of files in configs/.")  # fmt: skip
@click.option("--predictors", help="Which of mlp,dcnv2,resnet,autoint,ft_transformer,xgboost (default: all).")
@click.option("--features", help="Which of raw,t_jepa,var_t_jepa (default: all).")
@click.option("--seeds", default=5, show_default=True, help="Runs per predictor.")
@click.option("--protocol", type=click.Choice(["inductive", "paper"]), default="inductive", show_default=True,
              help="Encoders see training rows only, or all rows (without labels) as in the paper.")  # fmt: skip
@click.option("--runner", type=click.Choice(["processes", "threads", "dask"]), default="processes", show_default=True,
              help="Where cells are computed.")  # fmt: skip
@click.option("--workers", default=0, help="Cells at a time (default: one per core).")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Override a setting, such as training.epochs=20, or DATASET.training.lr=1e-3.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Make everything anew instead of reusing what is there.")
@as_json
def benchmark(
    datasets: str, predictors: str | None, features: str | None, overrides: tuple[str, ...], *,
    fresh: bool, json_out: bool, **settings: Any,
) -> None:  # fmt: skip
    """Compare Var-T-JEPA, T-JEPA and raw features under six predictors."""
    from varjepa.config import benchmark_config

    lists = {"predictors": predictors, "features": features}
    settings |= {name: value.split(",") for name, value in lists.items() if value}
    config = benchmark_config(datasets.split(","), overrides, **settings)
    from flows.benchmark import benchmark as run
    from flows.show import show_benchmark
    from tasks.steps import start_fresh

    if fresh:
        start_fresh()
    result = run(config)
    show_benchmark(result)
    _finish(result, json_out=json_out)


@cli.command()
@click.argument("data", type=click.Path())
@click.option("--label", help="Column to predict; without one the model is selected by its validation ELBO.")
@click.option("--out", type=click.Path(path_type=Path), help="Config file to write (default: DATA's name, .yaml).")
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@as_json
def init(data: str, label: str | None, out: Path | None, *, force: bool, json_out: bool) -> None:
    """Look at a table; write a config and a data contract to review."""
    from flows.show import show_profile
    from tasks.initialise import initialise

    started = initialise(data, label=label, out=out, force=force)
    show_profile(started)
    _finish(started.summary(), json_out=json_out)


@cli.command()
@click.argument("model")
@click.argument("source", metavar="IN")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--columns", default="embedding,uncertainty,prediction,anomaly", show_default=True,
              help="Groups of columns to write; oddity has one per feature.")  # fmt: skip
@click.option("--keep", default="", help="Columns of IN to carry along, such as an identifier.")
@over_files
def score(model: str, source: str, out: Path, columns: str, *, keep: str, **options: Any) -> None:
    """Write embedding, uncertainty, prediction, accept and anomaly of every row of IN to OUT.

    MODEL is models:/NAME@champion, models:/NAME/VERSION, the id of a run, or a folder; IN a CSV, Parquet or Arrow file,
    a folder or a glob; OUT ends in .parquet or .csv. Files may be larger than memory.
    """
    from tasks.infer import score as run

    files = {"source": source, "out": out, "keep": tuple(name for name in keep.split(",") if name)}
    _infer(model, files, options, lambda trained, request: run(trained, request, tuple(columns.split(","))))


@cli.command()
@click.argument("model")
@click.argument("source", metavar="IN")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--draws", type=click.IntRange(min=0), default=0, show_default=True,
              help="Joint draws of all gaps instead of estimates; OUT has every row once per draw.")  # fmt: skip
@click.option("--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.9, show_default=True,
              help="Share of intervals that hold the truth.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draws.")
@over_files
def impute(model: str, source: str, out: Path, *, draws: int, level: float, seed: int, **options: Any) -> None:
    """Write IN to OUT with its gaps filled, each with an interval or a probability.

    MODEL, IN and OUT are as for `score`.
    """
    from tasks.infer import impute as run

    settings: dict[str, Any] = {"draws": draws, "level": level, "seed": seed}
    files = {"source": source, "out": out}
    _infer(model, files, options, lambda trained, request: run(trained, request, **settings))


@cli.command()
@click.argument("model")
@click.argument("rows", type=click.IntRange(min=0), metavar="N")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same rows.")
@click.option("--gaps", is_flag=True, help="Leave cells empty as rows of the table do.")
@over_files
def sample(model: str, rows: int, out: Path, *, seed: int, gaps: bool, **options: Any) -> None:
    """Write N new rows that might have come from the table to OUT.

    MODEL and OUT are as for `score`.
    """
    from tasks.infer import sample as run

    settings: dict[str, Any] = {"seed": seed, "gaps": gaps}
    files = {"source": "", "out": out}
    _infer(model, files, options, lambda trained, request: run(trained, rows, request, **settings))


def _infer(model: str, files: dict[str, Any], options: dict[str, Any], run: Callable[..., dict[str, Any]]) -> None:
    """Opens the model, calls a step over files, and says what came of it."""
    from flows.show import show_summary
    from tasks.infer import Request
    from tasks.models import open_model

    trained = open_model(model, options["tracking_uri"], options["device"])
    result = run(trained, Request(**files, batch_size=options["batch_size"], force=options["force"]))
    show_summary(result)
    _finish(result, json_out=options["json_out"])


@cli.command()
@click.option("--tracking-uri", help="Tracking store (default: MLFLOW_TRACKING_URI, or the local one).")
@as_json
def models(tracking_uri: str | None, *, json_out: bool) -> None:
    """List what is registered."""
    from flows.show import show_models
    from tasks.registry import registered_models

    found = registered_models(tracking_uri)
    show_models(found)
    _finish({"models": found}, json_out=json_out)


@cli.command()
@click.option("--tracking-uri", help="Tracking store (default: MLFLOW_TRACKING_URI, or the local one).")
@click.option("--port", default=5000, show_default=True, help="Port of the local server.")
@click.option("--browser/--no-browser", default=True, help="Whether to open a browser.")
def ui(tracking_uri: str | None, port: int, *, browser: bool) -> None:
    """Open the tracking UI; ends with Ctrl-C."""
    from tasks.ui import serve_ui

    serve_ui(tracking_uri, port, browser=browser)


@cli.command()
@as_json
def doctor(*, json_out: bool) -> None:
    """Say what is wrong with the set-up."""
    from flows.show import show_checks
    from tasks.doctor import examine

    checks = examine()
    show_checks(checks)
    healthy = all(check.ok for check in checks)
    _finish({"healthy": healthy, "checks": [check.as_dict() for check in checks]}, json_out=json_out)
    if not healthy:
        raise click.exceptions.Exit(1)


@cli.command()
def schema() -> None:
    """Print the JSON schema of a config, for editors."""
    from varjepa.config import RetrainConfig

    click.echo(json.dumps(RetrainConfig.model_json_schema(), indent=2))


def _finish(result: dict[str, Any], *, json_out: bool) -> None:
    if json_out:
        click.echo(json.dumps(result))


def _log_to_stderr() -> None:
    """One short line per message on stderr."""
    logger = logging.getLogger("varjepa")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    sys.exit(guarded(lambda: cli.main(arguments, standalone_mode=False), arguments))


def guarded(command: Callable[[], Any], arguments: list[str]) -> int:
    """Calls a command; turns what it raises into a message and an exit code."""
    try:
        status = command()
    except (VarjepaError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        code = error.exit_code
        if "--verbose" in arguments:
            logging.getLogger("varjepa").exception("details")
    except (KeyboardInterrupt, click.Abort):
        message, code = "Interrupted; the same command goes on from here.", 1
    else:
        return status if isinstance(status, int) else 0
    click.echo(f"varjepa: {message}", err=True)
    if "--json" in arguments:
        click.echo(json.dumps({"error": message, "exit_code": code}))
    return code


if __name__ == "__main__":
    main()
