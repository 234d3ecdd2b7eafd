"""The results of `varjepa init` and `varjepa doctor`, on the terminal."""

from collections import Counter
from shlex import quote
from typing import Any

import polars as pl

from varjepa.amounts import counted, share
from varjepa.data.read.left_out import MOST_NAMED, by_reason
from varjepa.flows.show.console import console, plain, print_table, whole_table
from varjepa.tasks.setup.doctor import Check
from varjepa.tasks.setup.initialise import TEXT_WORDS, Started

MOST_SHOWN = 50
"""Columns, and remarks about columns, that fit on a screen or two: 1,500 lines hid the next command to run."""


def show_profile(started: Started) -> None:
    """The profile of the table, and the written files."""
    spelling = ["spelling"] if started.words else []
    table = whole_table("column", "kind", *spelling, "missing", "distinct", "range", title=counted(started.rows, "row"))
    shown = _shown(started)
    for name in shown:
        facts = started.profiles[name]
        span = "" if facts.smallest is None else plain(_span(facts.smallest, facts.largest, facts.dtype))
        kind = f"{facts.kind} (left out)" if facts.left_out else facts.kind
        kind = ", ".join(filter(None, ("label", started.predicted))) if name == started.label else kind
        spelled = [plain(started.words.get(name, ""))] if spelling else []
        table.add_row(plain(name), kind, *spelled, share(facts.missing_share), f"{facts.distinct:,}", span)
    print_table(table, console)
    config = plain(str(started.config))
    if others := [facts.kind for name, facts in started.profiles.items() if name not in shown]:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in Counter(others).most_common())
        console.print(f"{counted(len(others), 'more column')}: {kinds}. The contract names all of them.")
    texts = [name for name, facts in started.profiles.items() if facts.kind == "text" and name != started.label]
    remarks = [f'"{plain(name)}" {TEXT_WORDS}.' for name in texts]
    remarks += [f'"{plain(name)}": {plain(doubt)}.' for name, doubt in started.doubts.items()]
    for remark in remarks[:MOST_SHOWN]:
        console.print(remark)
    if len(remarks) > MOST_SHOWN:
        console.print(
            f"{counted(len(remarks) - MOST_SHOWN, 'more remark')} of this kind: see {config}.", soft_wrap=True
        )
    # Never wrapped: paths and commands are copied as a whole.
    wrote = f"Wrote {config} and {plain(str(started.contract))}."
    if started.obstacles:
        console.print(f"{wrote} [yellow]A retrain will refuse this table:[/yellow]", soft_wrap=True)
        for obstacle in started.obstacles:
            console.print(f"  [yellow]{plain(obstacle)}[/yellow]", soft_wrap=True)
        return
    console.print(f"{wrote} Review both, then run:", soft_wrap=True)
    retrain = f"varjepa retrain {plain(quote(str(started.config)))}"
    console.print(f"  [b]{retrain} --plan[/b]   # what the run would do, and how long it takes", soft_wrap=True)
    console.print(f"  [b]{retrain}[/b]", soft_wrap=True)


def _shown(started: Started) -> list[str]:
    """The columns to list, in the order of the table: of hundreds those that a person should look at, and the first.

    Of many that are left out for the same reason, a few show what they are like.
    """
    away = {name: facts.left_out for name, facts in started.profiles.items() if facts.left_out}
    few = [name for names in by_reason(away).values() for name in names[:MOST_NAMED]]
    notable = [name for name in started.profiles if name in (started.label, *started.words, *started.doubts)]
    features = [name for name in started.profiles if name not in away]
    chosen = set(list(dict.fromkeys([*notable, *few, *features, *away]))[:MOST_SHOWN])
    return [name for name in started.profiles if name in chosen]


def _span(low: Any, high: Any, dtype: pl.DataType) -> str:
    """A range; its numbers have no more digits than tell people their size, and than their type has.

    Examples:
        >>> _span(-0.1072256316073538, 30.5, pl.Float64()), _span(-5.940999984741211, 2.5, pl.Float32())
        ('-0.107225632 to 30.5', '-5.941 to 2.5')
    """
    digits = 7 if dtype == pl.Float32 else 9
    return " to ".join(str(float(f"{end:.{digits}g}") if isinstance(end, float) else end) for end in (low, high))


def show_checks(checks: list[Check]) -> None:
    """The checks of the doctor."""
    table = whole_table("", "check", "found", "what to do")
    for check in checks:
        table.add_row(
            "[green]ok[/green]" if check.ok else "[red]failed[/red]", check.name, plain(check.found), plain(check.fix)
        )
    print_table(table, console)
