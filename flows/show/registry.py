"""Versions, the history of champions and what a move of the alias did, on the terminal."""

from typing import Any

from rich.table import Table

from flows.show.console import console
from flows.show.results import show_reason


def show_models(found: list[dict[str, Any]]) -> None:
    """Registered versions, newest first."""
    table = Table("model", "version", "aliases", "gate", "made", "accuracy or R2", "rows", "run")
    for entry in found:
        quality = entry["quality"]
        table.add_row(
            entry["name"], str(entry["version"]), ", ".join(entry["aliases"]), _gate(entry["gate"]), entry["created"],
            "" if quality is None else f"{quality:.4f}", entry["rows"], entry["run_id"] or "",
        )  # fmt: skip
    console.print(table if found else "Nothing is registered yet. Start with: [b]varjepa retrain configs/demo.yaml[/b]")


def _gate(said: dict[str, str]) -> str:
    return f"[red]refused by {said['vetoes']}[/red]" if said["vetoes"] else said["outcome"]


def show_history(events: list[dict[str, Any]]) -> None:
    """Who became champion when, newest first."""
    for event in events:
        before = f"after version {event['before']}" if event["before"] is not None else "as the first one"
        console.print(
            f"{event['time']}  {event['name']} version {event['version']} became champion {before}, "
            f"by {event['by']} ({event['who']}): {event['reason'].split('; ')[0]}", markup=False,
        )  # fmt: skip


def show_move(result: dict[str, Any]) -> None:
    """What `promote` or `rollback` did, or would do."""
    if "gate" in result:
        console.print("Its gate said:")
        show_reason(result["gate"]["reason"])
    would = "would become" if result["dry_run"] else "is now" if result["moved"] else "already was"
    before = f" (before: version {result['before']})" if result["before"] not in (None, result["version"]) else ""
    console.print(f"[b]{result['uri']}[/b] {would} the champion{before}")
