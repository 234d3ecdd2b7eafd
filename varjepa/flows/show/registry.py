"""Versions, the history of champions and the result of a promotion or rollback, on the terminal."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from varjepa.amounts import figure
from varjepa.flows.show.console import console, print_table, shows_plain
from varjepa.flows.show.results import show_reason
from varjepa.tasks.answers.registry import (
    ApprovalAnswer,
    ChampionAnswer,
    GateAnswer,
    MoveAnswer,
    VerifyAnswer,
    VersionAnswer,
)
from varjepa.visible import visible

WIDE = 120
"""Columns of a terminal from which all facts are shown."""


@shows_plain
def show_models(versions: list[VersionAnswer]) -> None:
    """Registered versions, newest first. What is copied is never cut; a narrow terminal sees neither rows nor runs."""
    wide = console.width >= WIDE
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in (
        "model",
        "version",
        "aliases",
        "gate",
        "accuracy or R2",
        "created",
        *(("rows", "run") if wide else ()),
    ):
        table.add_column(title, overflow="fold", no_wrap=title in ("version", "aliases", "run"))
    for entry in versions:
        quality = entry["quality"]
        table.add_row(
            entry["name"], str(entry["version"]), "\n".join(entry["aliases"]), _gate(entry["gate"]),
            "" if quality is None else figure(quality), entry["created"] if wide else entry["created"][:10],
            *(("" if entry["rows"] is None else f"{entry['rows']:,}", entry["run_id"] or "") if wide else ()),
        )  # fmt: skip
    if versions:
        print_table(table, console)
    else:
        console.print("No model is registered yet. Start with: [b]varjepa demo[/b] or [b]varjepa init TABLE[/b]")


def _gate(decision: GateAnswer) -> str:
    return f"[red]refused by {', '.join(decision['vetoes'])}[/red]" if decision["vetoes"] else decision["outcome"]


@shows_plain
def show_history(events: list[ChampionAnswer]) -> None:
    """The history of champions, newest first."""
    for event in events:
        before = f"after version {event['before']}" if event["before"] is not None else "as the first champion"
        console.print(
            f"{event['time']}  {event['name']} version {event['version']} became champion {before}, "
            f"by {event['by']} ({event['who']}): {event['reason'].split('; ')[0]}",
        )  # fmt: skip


@shows_plain
def show_move(result: MoveAnswer) -> None:
    """The result of `promote` or `rollback`, or of their dry run."""
    if "gate" in result:
        console.print("Decision of the gate:")
        show_reason(result["gate"]["reason"])
    would = "would become" if result["dry_run"] else "is now" if result["moved"] else "already was"
    before = f" (before: version {result['before']})" if result["before"] not in (None, result["version"]) else ""
    console.print(f"[b]{result['uri']}[/b] {would} the champion{before}")


@shows_plain
def show_approval(result: ApprovalAnswer) -> None:
    """The result of `approve` or `reject`."""
    moved = "is now the champion" if result["moved"] else "was rejected; the champion stays"
    console.print(f"[b]{result['uri']}[/b] {moved} ({result['who']}: {result['why']})")


def show_verified(result: VerifyAnswer) -> None:
    """What `verify` has checked and what not; nothing differs, or it would have raised an error."""
    console.print(f"{visible(result['model'])}: nothing differs", markup=False)
    for title, lines in (("checked", result["checked"]), ("not checked", result["not_checked"])):
        for line in lines:
            console.print(f"  {title}: {visible(line)}", markup=False)
