"""What `varjepa init` and `varjepa doctor` found, on the terminal."""

from rich.table import Table

from flows.show.console import console
from tasks.setup.doctor import Check
from tasks.setup.initialise import Started


def show_profile(started: Started) -> None:
    """What `init` saw, and what it wrote."""
    table = Table("column", "kind", "missing", "distinct", "range", title=f"{started.rows:,} rows")
    for name, facts in started.profiles.items():
        span = "" if facts.smallest is None else f"{facts.smallest} to {facts.largest}"
        kind = f"{facts.kind} (left out)" if facts.left_out else facts.kind
        kind = "label" if name == started.label else kind
        table.add_row(name, kind, f"{facts.missing_share:.1%}", f"{facts.distinct:,}", span)
    console.print(table)
    console.print(
        f"Wrote {started.config} and {started.contract}. Review both, then: [b]varjepa retrain {started.config}[/b]"
    )


def show_checks(checks: list[Check]) -> None:
    """What the doctor found."""
    table = Table("", "check", "found", "what to do")
    for check in checks:
        table.add_row("[green]ok[/green]" if check.ok else "[red]bad[/red]", check.name, check.found, check.fix)
    console.print(table)
