"""Random command lines: any command, with fitting, odd and hostile words for its arguments and options."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from varjepa.flows.cli import cli

HOSTILE = (
    # Texts that are none, too long, or mean something to a shell, a terminal, a page, a pattern or a database.
    "", " ", ",", "a,a", "é" * 300, "x" * 5000, "~", "-", "*", "[", "(", "\\", "'", '"', "%s%n", "${HOME}", "${NONE}",
    "[bold]x[/bold]", "[/]", "\x1b[31mred", "a\nb", "🦄", "\u202egnp.exe", "\ud800", "'; DROP TABLE t; --",
    # Numbers, times and settings.
    "-1", "0", "10" * 20, "1e400", "nan", "inf", "true", "null", "99 * * * *", "* * * * * * *", "1h1h", "0s", "1e9d",
    "Mars/Olympus", "{{ run_date }}.csv", "{{ run_date + 999999999999d }}",
    "a=b=c", "=", "key=", ".=1", "data=1", "data.path.x=1",
    # Places.
    ".", "..", "../" * 40 + "etc/passwd", "/dev/null", "/dev/full", "/proc/self/mem", "/root/none/x.csv",
    "models:/", "models:/nobody@champion", "models:/a/b/c", "models:/people/0", "models:/people/-1", "models:/people@",
    "runs:/x/model", "s3://", "s3://bucket/key", "ftp://host/x.csv", "file:///etc/passwd", "http://127.0.0.1:1/x.csv",
    "postgresql://u@127.0.0.1:1/db#t", "sqlite:///nowhere/x.db#t", "delta://", "data:,x", "javascript:alert(1)",
)  # fmt: skip

REFUSED = {"ui": ["--port", "70000"], "servers": ["--port", "-1"], "schedule": ["--cron", "99 * * * *"],
           "tune": ["--trials", "0"], "benchmark": ["--datasets", "nowhere"], "simulate": ["--variants", "Z"],
           "doctor": ["--none"], "demo": ["--set", "nothing=1"], "serve": ["--port", "70000"],
           "watch": ["--cron", "99 * * * *"], "join": ["--none"]}  # fmt: skip
"""Options that are refused, for commands that run on, or for long, where their words are valid."""


@dataclass(frozen=True)
class Home:
    """What fitting words name."""

    config: Path
    table: Path
    model: Path
    store: str


def command_line(draw: random.Random, home: Home) -> list[str]:
    """A command with its arguments, and some of its options."""
    name = draw.choice(sorted(cli.commands))
    if name in REFUSED:  # half as often: they can only be refused
        name = draw.choice(sorted(cli.commands))
    words, hostile = [name], draw.choice([0, 0.1, 0.4])  # the share of hostile words
    for parameter in cli.commands[name].params:
        if isinstance(parameter, click.Argument):
            if parameter.required or draw.random() < 0.5:
                words.append(_word(draw, home, parameter, hostile))
        elif draw.random() < 0.25:
            words += _option(draw, home, parameter, hostile)
    if draw.random() < hostile / 4:
        words.insert(draw.randint(1, len(words)), draw.choice(HOSTILE))
    if draw.random() < 0.5:
        words.append("--json")
    return words + REFUSED.get(name, [])


def _option(draw: random.Random, home: Home, option: click.Parameter, hostile: float) -> list[str]:
    flag = draw.choice([*option.opts, *option.secondary_opts])
    if getattr(option, "is_flag", False):
        return [flag]
    return [flag, _word(draw, home, option, hostile)]


def _word(draw: random.Random, home: Home, parameter: click.Parameter, hostile: float) -> str:
    return draw.choice(HOSTILE) if draw.random() < hostile else str(draw.choice(_fitting(home, parameter)))


def _fitting(home: Home, parameter: click.Parameter) -> Sequence[Any]:
    """Words that the parameter expects."""
    tables = [home.table, home.table.parent, home.table.parent / "*.csv"]
    read = ("data", "source", "new", "table", "query", "labelled", "scored")
    by_name: dict[str, Sequence[Any]] = dict.fromkeys(read, tables) | {
        "config": [home.config], "job": [home.config], "model": ["models:/people@champion", home.model],
        "name": ["people"], "older": ["30d"],
        "out": ["out.parquet", "out.csv", "sub/out.csv", home.table, "out.txt", "out"], "label": ["rich", "age"],
        "keep": ["age", "customer_id", "age,job", "nobody"], "key": ["customer_id"], "tracking_uri": [home.store],
        "columns": ["prediction", "embedding,uncertainty", "nothing"], "parameters": ["a=1"], "at": ["3", "2020-01-01"],
        "overrides": ["training.max_epochs=1", "training.lr=x", "data.label=job", "registry.name=a/b"],
        "first": ["2026-06-01", "0001-01-01"], "last": ["2026-06-02", "9999-12-31"],
        "rows": [0, 3, 50], "device": ["cpu", "cuda", "abacus"],
    }  # fmt: skip
    if isinstance(parameter.type, click.Choice):
        return parameter.type.choices
    return by_name.get(parameter.name or "", [0, 1, 2, 0.5, "0.9"])
