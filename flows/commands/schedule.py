"""The command that retrains on a schedule."""

import os
from contextlib import nullcontext

import click


@click.command()
@click.argument("config", type=click.Path())
@click.option("--cron", help='Cron schedule with five fields: "0 3 * * *" is every night at three.')
@click.option("--interval", help="Time between runs, such as 1h, 30m, 2d, or a number of seconds.")
@click.option("--timezone", help="Time zone of --cron, such as Europe/Berlin (default: UTC).")
@click.option("--overlap", type=click.Choice(["skip", "wait"]), default="skip", show_default=True,
              help="What to do while another run for this model is in progress.")  # fmt: skip
@click.option("--unchanged", type=click.Choice(["skip", "retrain"]), default="skip", show_default=True,
              help="What to do if data, settings and code are the same as in the last retrain.")  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of CONFIG.")
@click.option("--server", is_flag=True, help="Start a Prefect server for as long as this command runs.")
@click.option("--port", default=4200, show_default=True, help="Port of that server.")
def schedule(
    config: str, cron: str | None, interval: str | None, timezone: str | None, *, overlap: str, unchanged: str,
    overrides: tuple[str, ...], port: int, server: bool,
) -> None:  # fmt: skip
    """Retrain on a schedule, one run at a time, until interrupted."""
    from varjepa.config import load_config

    settings = load_config(config, overrides)
    if os.environ.get("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL") == "CRITICAL":
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "INFO"  # the user sees when a run starts
    from flows.schedule import deployment_name, schedule_of, serve
    from tasks.processes.signals import exit_on_sigterm
    from tasks.servers.prefect import local_server, require_server
    from tasks.steps.log import log

    when = schedule_of(cron, interval, timezone)
    # On SIGTERM or Ctrl-C the schedule is paused and our server stops.
    with exit_on_sigterm(1), local_server(port) if server else nullcontext():
        require_server()
        name, often = deployment_name(settings), cron or f"every {when.interval}"
        log.info('serving "scheduled-retrain/%s" (%s); Ctrl-C stops the command and pauses the schedule', name, often)
        serve(settings, when, unchanged=unchanged, overlap=overlap)  # type: ignore[arg-type]
