"""The commands of `varjepa`, grouped by purpose. Each composes flows and steps, and imports them only when it runs."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from varjepa.errors import ConfigError
from varjepa.redaction import has_secret
from varjepa.tasks.steps.json_text import json_text


class Command(click.Command):
    """A command whose help ends with examples, each on its own line however narrow the terminal.

    Args:
        examples: command lines.
        options: of `click.Command`.
    """

    def __init__(self, *, examples: tuple[str, ...], **options: Any) -> None:
        super().__init__(**options)
        self.examples = examples

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples."""
        with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
            for example in self.examples:
                formatter.write(f"{' ' * formatter.current_indent}{example}\n")


def command(*examples: str, name: str | None = None) -> Callable[[Callable[..., Any]], Command]:
    """Makes a command of a function; its help ends with these examples."""
    return click.command(name, cls=Command, examples=examples)


as_json = click.option("--json", "json_out", is_flag=True, help="Print one JSON object as the last line of stdout.")


def without_secret(_context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Callback of options that take a URI: refuses a password, which others would read in the list of processes.

    Raises:
        ConfigError: the URI holds one.
    """
    if value is not None and has_secret(value):
        from varjepa.config.operations import TrackingSection

        raise ConfigError(
            f"{option.opts[0]} holds a password or a signature, which every user of this machine could read.",
            fix=f"{TrackingSection.instead_of_secrets}.",
        )
    return value


tracking_option = click.option(
    "--tracking-uri", callback=without_secret,
    help="Tracking store (default: MLFLOW_TRACKING_URI, or the local one).",
)  # fmt: skip
dask_option = click.option(
    "--dask-address", callback=without_secret,
    help="Scheduler of a running Dask cluster (default: start a local cluster).",
)  # fmt: skip
port_range = click.IntRange(1, 65535)


def _full_name(_context: click.Context, _argument: click.Parameter, value: str) -> str:
    """The URI of a registered model that is written NAME@ALIAS; other names and folders stay as they are."""
    short = re.fullmatch(r"[^/@\\]+@[^/@\\]+", value)
    return f"models:/{value}" if short and not Path(value).exists() else value


model_argument = click.argument("model", callback=_full_name)

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""A number as it is usually written; 007 is none, as a key must keep its zeros."""


class NumberRange(click.FloatRange):
    """A range of finite numbers: click's own takes nan for a number of every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number.

        Raises:
            click.BadParameter: it is none, or not in the range.
        """
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


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


def over_days(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --from and --to; hands over the days between them, both included, as `days`: none without the options."""
    kind = click.DateTime(["%Y-%m-%d"])
    options = (
        click.option("--from", "first", type=kind, help="First of past days, whose rows {{ run_date }} chooses."),
        click.option("--to", "last", type=kind, help="Last of these days."),
    )

    @wraps(command)
    def called(*args: Any, first: datetime | None, last: datetime | None, **others: Any) -> Any:
        return command(*args, days=_days(first, last), **others)

    for option in reversed(options):
        called = option(called)
    return called


def _days(first: datetime | None, last: datetime | None) -> list[date]:
    if first is None or last is None:
        if first is not last:
            raise click.UsageError("--from and --to belong together.")
        return []
    from varjepa.tasks.sources.run_day import days_between

    return days_between(first.date(), last.date())


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
    """A number, true, false or null as such; anything else as text.

    Examples:
        >>> _value("-5"), _value("1e3"), _value("007"), _value("nan"), _value("1_000"), _value("true")
        (-5, 1000.0, '007', 'nan', '1_000', True)
    """
    if text in (words := {"true": True, "false": False, "null": None}):
        return words[text]
    number = _NUMBER.fullmatch(text)
    if number is None or not math.isfinite(float(text)):
        return text
    return float(text) if number[2] or number[3] else int(text)


def names(text: str) -> tuple[str, ...]:
    """The names in a list with commas, each once.

    Examples:
        >>> names("a,b,,a")
        ('a', 'b')
    """
    return tuple(dict.fromkeys(filter(None, text.split(","))))


def finish(result: Mapping[str, Any], *, json_out: bool) -> None:
    """Prints the JSON object of a command if `--json` was given. What is no finite number is null in it."""
    if json_out:
        click.echo(json_text(result))
