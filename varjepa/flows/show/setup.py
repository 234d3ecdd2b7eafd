"""The results of `varjepa init` and `varjepa doctor`, on the terminal."""

from shlex import quote
from typing import Any

import polars as pl

from varjepa.amounts import counted, share
from varjepa.flows.show.console import console, plain, print_table, whole_table
from varjepa.tasks.setup.doctor import Check
from varjepa.tasks.setup.initialise import TEXT_WORDS, Started


def show_profile(started: Started) -> None:
    """The profile of the table, and the written files."""
    spelling = ["spelling"] if started.words else []
    table = whole_table("column", "kind", *spelling, "missing", "distinct", "range", title=counted(started.rows, "row"))
    for name, facts in started.profiles.items():
        span = "" if facts.smallest is None else plain(_span(facts.smallest, facts.largest, facts.dtype))
        kind = f"{facts.kind} (left out)" if facts.left_out else facts.kind
        kind = "label" if name == started.label else kind
        spelled = [plain(started.words.get(name, ""))] if spelling else []
        table.add_row(plain(name), kind, *spelled, share(facts.missing_share), f"{facts.distinct:,}", span)
    print_table(table, console)
    for name, facts in started.profiles.items():
        if facts.kind == "text" and name != started.label:
            console.print(f'"{plain(name)}" {TEXT_WORDS}.')
    for name, doubt in started.doubts.items():
        console.print(f'"{plain(name)}": {plain(doubt)}.')
    config = plain(str(started.config))
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
