"""The command that searches for better settings."""

from pathlib import Path

import click

from flows.commands import as_json, finish

TRIALS = 20


@click.command()
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
    from tasks.tuning.write import place_of, write_tuned
    from varjepa.config import load_config

    settings = load_config(config, overrides)
    place, seconds = place_of(config, out, force=force), _seconds(budget)
    if trials is not None and trials < 1:
        raise click.UsageError(f"--trials is {trials}. Expected at least 1.")
    from tasks.orchestration.warm_server import server_under_way

    with server_under_way():
        from flows.tune import tune as flow
        from tasks.orchestration.flow_runs import owned
        from tasks.tracking.store import open_known

        open_known(settings.tracking)
    with owned():
        result = flow(settings, trials=TRIALS if trials is None and seconds is None else trials, seconds=seconds)
        write_tuned(config, place, overrides, result, settings)
        result["config"] = str(place)
        from flows.show.tuning import show_search

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
