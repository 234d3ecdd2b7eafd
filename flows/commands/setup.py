"""Commands about the set-up: the tracking UI, and what is wrong."""

import click

from flows.commands import as_json, finish, tracking_option


@click.command()
@tracking_option
@click.option("--port", default=5000, show_default=True, help="Port of the local server.")
@click.option("--browser/--no-browser", default=True, help="Whether to open a browser.")
def ui(tracking_uri: str | None, port: int, *, browser: bool) -> None:
    """Open the tracking UI; ends with Ctrl-C."""
    from tasks.ui import serve_ui

    serve_ui(tracking_uri, port, browser=browser)


@click.command()
@as_json
def doctor(*, json_out: bool) -> None:
    """Say what is wrong with the set-up."""
    from flows.show import show_checks
    from tasks.doctor import examine

    checks = examine()
    show_checks(checks)
    healthy = all(check.ok for check in checks)
    finish({"healthy": healthy, "checks": [check.as_dict() for check in checks]}, json_out=json_out)
    if not healthy:
        raise click.exceptions.Exit(1)
