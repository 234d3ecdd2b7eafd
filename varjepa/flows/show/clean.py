"""What `varjepa clean` removed, on the terminal."""

from varjepa.amounts import counted, file_size
from varjepa.flows.show.console import console, print_table, shows_plain, whole_table
from varjepa.tasks.answers.registry import CleanAnswer, RemovedAnswer

MOST = 20
"""Rows of the table; the rest is counted."""


@shows_plain
def show_cleaned(result: CleanAnswer) -> None:
    """The largest things that were removed, and the sums by kind."""
    would = "would be removed" if result["dry_run"] else "removed"
    ordered = sorted(result["removed"], key=lambda one: -(one["bytes"] or 0))
    if not ordered:
        console.print("Nothing to remove.")
        return
    table = whole_table(would, "", "size", "why")
    for one in ordered[:MOST]:
        table.add_row(one["kind"], one["name"], _size(one["bytes"]), one["why"])
    print_table(table, console)
    if len(ordered) > MOST:
        console.print(f"... and {len(ordered) - MOST} more")
    kinds = sorted({one["kind"] for one in ordered})
    console.print(f"{would}: " + "; ".join(_sum(kind, [o for o in ordered if o["kind"] == kind]) for kind in kinds))


def _sum(kind: str, things: list[RemovedAnswer]) -> str:
    sizes = [one["bytes"] for one in things if one["bytes"] is not None]
    return counted(len(things), kind) + (f", {file_size(sum(sizes))}" if sizes else "")


def _size(size: int | None) -> str:
    return "" if size is None else file_size(size)
