"""The commands of `varjepa`, by what they are for; each composes flows and steps, whose imports wait until it runs."""

import json
from collections.abc import Mapping
from typing import Any

import click

as_json = click.option("--json", "json_out", is_flag=True, help="Print one JSON object as the last line of stdout.")
tracking_option = click.option(
    "--tracking-uri", help="Tracking store (default: MLFLOW_TRACKING_URI, or the local one)."
)


def finish(result: Mapping[str, Any], *, json_out: bool) -> None:
    """Ends a command with its JSON object, where somebody wants it."""
    if json_out:
        click.echo(json.dumps(result))
