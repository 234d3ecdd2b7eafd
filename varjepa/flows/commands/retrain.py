"""The main flow: of a user's job, and of the demo that comes with the package."""

from collections.abc import Callable
from typing import Any

import click

from varjepa.config.retrain import RetrainConfig
from varjepa.flows.commands import as_json, command, finish
from varjepa.flows.commands.checks import require_job


def of_a_job(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of commands that run a retrain job."""
    for option in (
        as_json,
        click.option("--plan", is_flag=True,
                     help="Read and check the table; show columns, split, steps and time; train nothing."),
        click.option("--dry-run", is_flag=True,
                     help="Train, and show what the gate would decide; register and promote nothing."),
        click.option("--quick", is_flag=True,
                     help="At most 20,000 rows, 4 epochs and 300 steps of the generator, for a first look."),
        click.option("--fresh", is_flag=True, help="Run every step again instead of reusing stored results."),
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
                     help="Override a key, such as training.lr=1e-3."),
    ):  # fmt: skip
        function = option(function)
    return function


@command("varjepa retrain people.yaml", "varjepa retrain people.yaml --set training.lr=5e-4 --plan")
@click.argument("config", type=click.Path())
@of_a_job
def retrain(config: str, overrides: tuple[str, ...], **options: Any) -> None:
    """Train, evaluate and register the model that CONFIG (YAML) describes."""
    _run(require_job(config, overrides), **options)


@command("varjepa demo", "varjepa demo --set data.rows=2000")
@of_a_job
def demo(overrides: tuple[str, ...], **options: Any) -> None:
    """Retrain on a built-in table, to see everything work. It needs no file and no network."""
    from varjepa.config.shipped import shipped_config

    click.echo(
        "The demo: 10,000 simulated rows of 32 columns and a label, which not even a perfect model could always tell. "
        "Its model is small, so some figures are poor.", err=True,
    )  # fmt: skip
    _run(require_job(shipped_config("demo"), overrides), **options)
    click.echo("Your own table: varjepa init TABLE.csv --label COLUMN", err=True)


def _run(settings: RetrainConfig, *, fresh: bool, dry_run: bool, quick: bool, plan: bool, json_out: bool) -> None:
    """Runs a job and shows its result."""
    from varjepa.memory import warn_of_little_memory

    if quick:
        from varjepa.config.quick import quick_config

        settings = quick_config(settings)
    if plan:
        _plan(settings, json_out=json_out)
        return
    from varjepa.tasks.orchestration.warm_server import server_under_way
    from varjepa.tasks.signing.keys import require_keys

    require_keys(settings.signing, sign=not dry_run)
    warn_of_little_memory()

    with server_under_way():
        from varjepa.flows.retrain import retrain as flow
        from varjepa.tasks.orchestration.flow_runs import owned
        from varjepa.tasks.steps.reuse import afresh
        from varjepa.tasks.tracking.runs import log_results
        from varjepa.tasks.tracking.store import open_known

        open_known(settings.tracking)

    with afresh(fresh), owned():
        result = flow(settings, dry_run=dry_run)
        if quick:
            log_results.fn(result["run_id"], settings.tracking, {}, {"varjepa.preset": "quick"})
        from varjepa.flows.show.results import show_result

        show_result(result, settings)
        finish(result, json_out=json_out)


def _plan(settings: RetrainConfig, *, json_out: bool) -> None:
    """Shows what a run would do."""
    from varjepa.tasks.steps.imports import quick_imports

    with quick_imports():
        from varjepa.flows.plan import plan
        from varjepa.flows.show.plan import show_plan

    answer = plan(settings)
    show_plan(answer)
    finish(answer, json_out=json_out)
