"""The result of `varjepa tune`, on the terminal."""

from shlex import quote

from rich.table import Table

from varjepa.amounts import figure
from varjepa.flows.show.console import console, print_table, shows_plain, whole_table
from varjepa.tasks.answers.studies import TuneAnswer

MOST_LINES = 10


@shows_plain
def show_search(result: TuneAnswer) -> None:
    """The best trials, what the best one changes, and default and tuned job on validation and test rows."""
    complete = sorted((trial for trial in result["trials"] if trial["value"] is not None), key=lambda t: t["value"])
    trials = whole_table(
        "trial", "value", "epochs", "seconds", "changes", title=f"{len(result['trials'])} trials, best first"
    )
    for trial in complete[:MOST_LINES]:
        changes = ", ".join(f"{key}={value}" for key, value in trial["settings"].items()) or "the job as it is"
        trials.add_row(
            str(trial["number"]), figure(trial["value"], 5), str(trial["epochs"]), f"{trial['seconds']:.0f}", changes
        )
    print_table(trials, console)
    ended = [trial["state"] for trial in result["trials"]]
    console.print(f"{ended.count('pruned')} pruned, {ended.count('failed')} failed")
    print_table(_comparison(result), console)
    console.print(result["comparison"]["sentence"])
    if "config" in result:
        console.print(f"Wrote [b]{result['config']}[/b]. Run:", soft_wrap=True)
        console.print(f"  [b]varjepa retrain {quote(result['config'])}[/b]", soft_wrap=True)
    console.print(f"run {result['run_id']}, study {result['study']}, {result['seconds']:.0f} s", soft_wrap=True)


def _comparison(result: TuneAnswer) -> Table:
    """Default and tuned job beside each other."""
    comparison = result["comparison"]
    looks = "once" if comparison["looks"] == 1 else f"{comparison['looks']} times"
    table = whole_table("", "default", "tuned", title=f"{comparison['rows']:,} test rows, looked at {looks}")
    rows = {f"{comparison['criterion']}, validation": comparison["validation"]}
    rows |= {f"{comparison['criterion']}, test": comparison["test"]}
    rows |= {f"{name}, test": values for name, values in comparison["figures"].items()}
    if heads := comparison["heads"]:
        table.add_row("what ships", heads["names"]["default"], heads["names"]["tuned"])
        rows |= {f"its {comparison['criterion']}, {part}": heads[part] for part in ("validation", "test")}
    for name, values in rows.items():
        if values:
            table.add_row(name, figure(values["default"], 5), figure(values["tuned"], 5))
    if comparison["optimism"] is not None:
        table.add_row("optimism of the search", "", figure(comparison["optimism"], 5))
    return table
