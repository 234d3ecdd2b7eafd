"""What `varjepa drift` found, for people, on stderr."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from flows.show.console import console

MOST_LINES = 25


def show_drift(result: dict[str, Any]) -> None:
    """What changed, or that nothing did, and where to look."""
    drifted = [one for one in result["tests"] if one["verdict"] == "drift"]
    if drifted:
        table = Table("what", "aspect", "effect", "p, corrected", "in words", title="drift")
        for one in drifted[:MOST_LINES]:
            effect, p = f"{one['effect']:.1%}", f"{one['adjusted']:.2g}"
            table.add_row(escape(one["name"]), one["aspect"], effect, p, escape(one["says"]))
        console.print(table)
    rest = f" ({len(drifted) - MOST_LINES} more in the report)" if len(drifted) > MOST_LINES else ""
    alarms = result["settings"]["false_alarms"]
    console.print(
        f"{result['rows']:,} rows, {len(drifted)} of {len(result['tests'])} tests found drift{rest}; "
        f"at most {alarms:.0%} of unchanged batches would say so"
    )
    for name, values in result["quality"].items():
        console.print(f"{name} of the probe: {values['new']:.4f}, in the reference {values['reference']:.4f}")
    if result["retrained"] is not None:
        model, verdict = result["retrained"]["model"], "is" if result["retrained"]["promoted"] else "is not"
        console.print(f"retrained: {model['uri']}, which {verdict} promoted: {result['retrained']['reason']}")
    console.print(f"run {result['run_id']}, report [b]{escape(result['report'])}[/b], {result['seconds']:.1f} s")
