"""Commands that run on a schedule: the retrain, and the watch for drift."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import date
from typing import Any

import click

from varjepa.flows.commands import as_json, command, finish, over_days, port_range
from varjepa.flows.commands.checks import require_job, require_model


def _when(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of commands that run on a schedule."""
    for option in (
        click.option("--port", type=port_range, default=4200, show_default=True, help="Port of that server."),
        click.option("--server", is_flag=True, help="Start a Prefect server for as long as this command runs."),
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of CONFIG."),
        click.option("--timezone", help="Time zone of --cron, such as Europe/Berlin (default: UTC)."),
        click.option("--interval", help="Time between runs, such as 1h, 30m, 2d, or a number of seconds."),
        click.option("--cron", help='Cron schedule with five fields: "0 3 * * *" is every night at three.'),
        click.argument("config", type=click.Path()),
    ):
        function = option(function)
    return function


@command('varjepa schedule people.yaml --cron "0 3 * * *" --timezone Europe/Berlin')
@_when
@click.option("--overlap", type=click.Choice(["skip", "wait"]), default="skip", show_default=True,
              help="What to do while another run for this model is in progress.")  # fmt: skip
@click.option("--unchanged", type=click.Choice(["skip", "retrain"]), default="skip", show_default=True,
              help="What to do if data, settings and code are the same as in the last retrain.")  # fmt: skip
def schedule(
    config: str, cron: str | None, interval: str | None, timezone: str | None, *, overlap: str, unchanged: str,
    overrides: tuple[str, ...], port: int, server: bool,
) -> None:  # fmt: skip
    """Retrain on a schedule, one run at a time, until interrupted."""
    settings = require_job(config, overrides, now=False)
    from varjepa.tasks.orchestration.schedules import schedule_of

    when = schedule_of(cron, interval, timezone)
    with _serving(port if server else None, f"{settings.registry.name}, {cron or f'every {when.interval}'}"):
        from varjepa.flows.schedule import serve

        serve(settings, when, unchanged=unchanged, overlap=overlap)  # type: ignore[arg-type]  # click's choices


@command('varjepa watch people.yaml --cron "30 * * * *"', "varjepa watch people.yaml --from 2026-06-01 --to 2026-06-30")
@_when
@click.option("--once", is_flag=True, help="Compare once, now, and end.")
@over_days
@as_json
def watch(
    config: str, cron: str | None, interval: str | None, timezone: str | None, *, overrides: tuple[str, ...],
    port: int, server: bool, once: bool, days: list[date], json_out: bool,
) -> int:  # fmt: skip
    """Compare new rows with the champion on a schedule, until interrupted.

    CONFIG is the job of `varjepa retrain`. Its section `watch` says where new rows lie, and whether drift starts a
    retrain; `notify` says who gets a message.

    With --from and --to, the rows of past days are compared, which `{{ run_date }}` chooses: no messages, no retrain.
    Days that were compared with this champion before are left out. Exit code 2 if a day's rows cannot be read.
    """
    if days and (once or cron or interval or server):
        raise click.UsageError("--from and --to compare past days: leave out --once, --cron, --interval and --server.")
    settings = require_job(config, overrides, now=False)
    if days:
        return _watch_days(settings, days, json_out=json_out)
    from varjepa.tasks.orchestration.schedules import schedule_of
    from varjepa.tasks.sources.run_day import zone_of

    if once and (cron or interval):
        raise click.UsageError("--once runs now: leave out --cron and --interval.")
    when = None if once else schedule_of(cron, interval, timezone)
    zone_of(timezone)
    from varjepa.flows.watch import serve
    from varjepa.flows.watch import watch as flow

    if when is None:
        _watch_once(settings, flow, timezone, json_out=json_out)
        return 0
    with _serving(port if server else None, f"{settings.registry.name}, {cron or f'every {when.interval}'}"):
        serve(settings, when)
    return 0


def _watch_days(settings: Any, days: list[date], *, json_out: bool) -> int:
    from varjepa.tasks.sources.watched import require_days
    from varjepa.tasks.tracking.uris import tracking_uri

    require_days(settings)
    require_model(f"models:/{settings.registry.name}@champion", tracking_uri(settings.tracking))
    from varjepa.tasks.orchestration.warm_server import server_under_way

    with server_under_way():
        from varjepa.flows.backfill import backfill
        from varjepa.flows.show.drift import show_backfill
        from varjepa.tasks.orchestration.flow_runs import owned

    with owned():
        result: Any = backfill(settings, days[0], days[-1])
        show_backfill(result)
        finish(result, json_out=json_out)
    return 2 if any(day["state"] == "failed" for day in result["days"]) else 0


def _watch_once(settings: Any, flow: Any, timezone: str | None, *, json_out: bool) -> None:
    from varjepa.tasks.orchestration.flow_runs import owned

    with owned():
        result = flow(settings, timezone)
    if "skipped" in result:
        click.echo(f"nothing to compare: {result['reason']}", err=True)
    else:
        from varjepa.flows.show.drift import show_drift

        show_drift(result)
    finish(result, json_out=json_out)


@contextmanager
def _serving(port: int | None, what: str) -> Iterator[None]:
    """Around a schedule: with a server of its own if a port is given; on SIGTERM or Ctrl-C the schedule is paused."""
    if os.environ.get("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL") == "CRITICAL":
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "INFO"  # the user sees when a run starts
    from varjepa.tasks.processes.bound import end_spawned
    from varjepa.tasks.processes.signals import exit_on_sigterm
    from varjepa.tasks.servers.prefect import local_server, require_server
    from varjepa.tasks.steps.log import log

    with exit_on_sigterm(1), nullcontext() if port is None else local_server(port):
        require_server()
        log.info("serving the schedule of %s; Ctrl-C stops the command and pauses the schedule", what)
        try:
            yield
        finally:
            end_spawned()  # before their server stops: they would ask it for minutes
