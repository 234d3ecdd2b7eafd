"""Commands about the set-up: the tracking UI, servers for a team, and a check of the installation."""

from pathlib import Path
from typing import Any

import click

from varjepa.flows.commands import as_json, command, finish, port_range, tracking_option, without_secret


@command("varjepa ui --port 5001 --no-browser")
@tracking_option
@click.option("--port", type=port_range, default=5000, show_default=True, help="Port of the local server.")
@click.option("--browser/--no-browser", default=True, help="Whether to open a browser.")
def ui(tracking_uri: str | None, port: int, *, browser: bool) -> None:
    """Open the tracking UI. Ctrl-C stops it."""
    from varjepa.tasks.servers.tracking_ui import serve_ui

    serve_ui(tracking_uri, port, browser=browser)


@command("varjepa servers --folder team")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("team"), show_default=True,
              help="Folder for data, artifacts and logs; kept for the next start.")  # fmt: skip
@click.option("--port", type=port_range, default=5000, show_default=True, help="Port of the tracking server.")
@click.option("--prefect-port", type=port_range, default=4200, show_default=True, help="Port of the Prefect server.")
@click.option("--database-port", type=port_range, default=5433, show_default=True,
              help="Port of PostgreSQL, if the command starts it.")  # fmt: skip
@click.option("--database", metavar="URI", help="Use a running PostgreSQL server: postgresql://USER@HOST:PORT.")
@click.option(
    "--artifacts",
    metavar="URI",
    callback=without_secret,
    help="Artifact store, such as s3://BUCKET/PATH (default: the folder).",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; the servers do not "
              "ask for a password.")  # fmt: skip
def servers(**wanted: Any) -> None:
    """Start a tracking server and a Prefect server on PostgreSQL, to try them. Ctrl-C stops them."""
    from varjepa.tasks.servers.team import Wanted, run_servers

    run_servers(Wanted(**wanted))


@command("varjepa doctor")
@as_json
def doctor(*, json_out: bool) -> None:
    """Check the installation and the settings."""
    from varjepa.flows.show.setup import show_checks
    from varjepa.tasks.setup.doctor import examine

    checks = examine()
    show_checks(checks)
    healthy = all(check.ok for check in checks)
    finish({"healthy": healthy, "checks": [check.as_dict() for check in checks]}, json_out=json_out)
    if not healthy:
        raise click.exceptions.Exit(1)
