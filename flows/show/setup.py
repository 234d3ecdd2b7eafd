"""The results of `varjepa init` and `varjepa doctor`, on the terminal."""

from rich.table import Table

from flows.show.console import console, plain
from tasks.setup.doctor import Check
from tasks.setup.initialise import TEXT_WORDS, Started


def show_profile(started: Started) -> None:
    """The profile of the table, and the written files."""
    spelling = ["spelling"] if started.words else []
    table = Table("column", "kind", *spelling, "missing", "distinct", "range", title=f"{started.rows:,} rows")
    for name, facts in started.profiles.items():
        span = "" if facts.smallest is None else f"{facts.smallest} to {facts.largest}"
        kind = f"{facts.kind} (left out)" if facts.left_out else facts.kind
        kind = "label" if name == started.label else kind
        spelled = [plain(started.words.get(name, ""))] if spelling else []
        table.add_row(plain(name), kind, *spelled, f"{facts.missing_share:.1%}", f"{facts.distinct:,}", span)
    console.print(table)
    for name, facts in started.profiles.items():
        if facts.kind == "text" and name != started.label:
            console.print(f'"{plain(name)}" {TEXT_WORDS}.')
    for name, doubt in started.doubts.items():
        console.print(f'"{plain(name)}": {plain(doubt)}.')
    console.print(
        f"Wrote {started.config} and {started.contract}. Review both, then run: [b]varjepa retrain {started.config}[/b]"
    )


def show_checks(checks: list[Check]) -> None:
    """The checks of the doctor."""
    table = Table("", "check", "found", "what to do")
    for check in checks:
        table.add_row("[green]ok[/green]" if check.ok else "[red]failed[/red]", check.name, check.found, check.fix)
    console.print(table)
