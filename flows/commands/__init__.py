"""The commands of `varjepa`, grouped by purpose. Each composes flows and steps, and imports them only when it runs."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any

import click

as_json = click.option("--json", "json_out", is_flag=True, help="Print one JSON object as the last line of stdout.")
tracking_option = click.option(
    "--tracking-uri", help="Tracking store (default: MLFLOW_TRACKING_URI, or the local one)."
)


def from_place(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say what to read from a database or a lake, and hands them over as `reading`."""
    options = (
        click.option("--query", help="A SELECT whose rows to read, if the table lies in a database."),
        click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE",
                     help="Value for :NAME in --query; passed to the database on its own."),
        click.option("--at", help="Version of a Delta table, snapshot of an Iceberg table, or a time."),
    )  # fmt: skip

    @wraps(command)
    def called(*args: Any, query: str | None, parameters: tuple[str, ...], at: str | None, **others: Any) -> Any:
        return command(*args, reading=_reading(query, parameters, at), **others)

    for option in reversed(options):
        called = option(called)
    return called


def _reading(query: str | None, parameters: tuple[str, ...], at: str | None) -> dict[str, Any]:
    values = {}
    for text in parameters:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f'--parameter "{text}" is not a name and a value. Expected NAME=VALUE.')
        values[name] = _value(value)
    reading = {"query": query, "parameters": values, "at": at}
    return {key: value for key, value in reading.items() if value}


def _value(text: str) -> int | float | str | bool | None:
    """A number, true, false or null as such; anything else as text."""
    if text in (words := {"true": True, "false": False, "null": None}):
        return words[text]
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def finish(result: Mapping[str, Any], *, json_out: bool) -> None:
    """Prints the JSON object of a command if `--json` was given."""
    if json_out:
        click.echo(json.dumps(result))
