"""Versions, the history of champions and the result of a promotion or rollback, on the terminal."""

from rich.table import Table

from flows.show.console import console
from flows.show.results import show_reason
from tasks.answers import ChampionAnswer, GateAnswer, MoveAnswer, VersionAnswer


def show_models(versions: list[VersionAnswer]) -> None:
    """Registered versions, newest first."""
    table = Table("model", "version", "aliases", "gate", "created", "accuracy or R2", "rows", "run")
    for entry in versions:
        quality = entry["quality"]
        table.add_row(
            entry["name"], str(entry["version"]), ", ".join(entry["aliases"]), _gate(entry["gate"]), entry["created"],
            "" if quality is None else f"{quality:.4f}", entry["rows"], entry["run_id"] or "",
        )  # fmt: skip
    console.print(
        table if versions else "No model is registered yet. Start with: [b]varjepa retrain configs/demo.yaml[/b]"
    )


def _gate(decision: GateAnswer) -> str:
    return f"[red]refused by {decision['vetoes']}[/red]" if decision["vetoes"] else decision["outcome"]


def show_history(events: list[ChampionAnswer]) -> None:
    """The history of champions, newest first."""
    for event in events:
        before = f"after version {event['before']}" if event["before"] is not None else "as the first champion"
        console.print(
            f"{event['time']}  {event['name']} version {event['version']} became champion {before}, "
            f"by {event['by']} ({event['who']}): {event['reason'].split('; ')[0]}", markup=False,
        )  # fmt: skip


def show_move(result: MoveAnswer) -> None:
    """The result of `promote` or `rollback`, or of their dry run."""
    if "gate" in result:
        console.print("Decision of the gate:")
        show_reason(result["gate"]["reason"])
    would = "would become" if result["dry_run"] else "is now" if result["moved"] else "already was"
    before = f" (before: version {result['before']})" if result["before"] not in (None, result["version"]) else ""
    console.print(f"[b]{result['uri']}[/b] {would} the champion{before}")
