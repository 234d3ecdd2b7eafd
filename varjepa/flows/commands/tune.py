"""The command that searches for better settings."""

from pathlib import Path

import click

from varjepa.flows.commands import as_json, command, finish
from varjepa.flows.commands.checks import require_job

TRIALS = 20


@command("varjepa tune people.yaml --budget 1h")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--trials", type=int, help=f"Finished trials in all, those of earlier runs included (default: {TRIALS}, "
              "or as many as --budget allows).")  # fmt: skip
@click.option("--budget", metavar="DURATION", help="Time for the trials, such as 1h, 90m or 1h30m.")
@click.option("--out", type=click.Path(path_type=Path), help="Config file to write (default: CONFIG with .tuned.yaml).")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of CONFIG.")
@as_json
def tune(
    config: Path, trials: int | None, budget: str | None, out: Path | None, *, force: bool,
    overrides: tuple[str, ...], json_out: bool,
) -> None:  # fmt: skip
    """Search sizes, masks, weights and rates around those of CONFIG; write a tuned config.

    Trials are compared on validation rows. The first one is CONFIG as it is. Afterwards the best one and CONFIG are
    compared on test rows, once. The same command goes on with a search that was stopped.
    """
    from varjepa.tasks.tuning.places import place_of

    settings = require_job(config, overrides)
    place, seconds = place_of(config, out, force=force), _seconds(budget)
    if trials is not None and trials < 1:
        raise click.UsageError(f"--trials is {trials}. Expected at least 1.")
    from varjepa.tasks.orchestration.warm_server import server_under_way

    with server_under_way():
        from varjepa.flows.tune import tune as flow
        from varjepa.tasks.orchestration.flow_runs import owned
        from varjepa.tasks.tracking.store import open_known
        from varjepa.tasks.tuning.write import write_tuned

        open_known(settings.tracking)
    with owned():
        result = flow(settings, trials=TRIALS if trials is None and seconds is None else trials, seconds=seconds)
        write_tuned(config, place, overrides, result, settings)
        result["config"] = str(place)
        from varjepa.flows.show.tuning import show_search

        show_search(result)
        finish(result, json_out=json_out)


def _seconds(budget: str | None) -> float | None:
    from varjepa.config.durations import duration

    if budget is None:
        return None
    try:
        return duration(budget).total_seconds()
    except ValueError as error:
        raise click.UsageError(
            f'--budget "{budget}" is not a duration. Expected a number and s, m, h or d, such as 1h30m.'
        ) from error
