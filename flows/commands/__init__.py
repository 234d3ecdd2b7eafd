"""The commands of `varjepa`, grouped by purpose. Each composes flows and steps, and imports them only when it runs."""

import json
from collections.abc import Mapping
from typing import Any

import click

as_json = click.option("--json", "json_out", is_flag=True, help="Print one JSON object as the last line of stdout.")
tracking_option = click.option(
    "--tracking-uri", help="Tracking store (default: MLFLOW_TRACKING_URI, or the local one)."
)


def finish(result: Mapping[str, Any], *, json_out: bool) -> None:
    """Prints the JSON object of a command if `--json` was given."""
    if json_out:
        click.echo(json.dumps(result))
