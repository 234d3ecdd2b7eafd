"""The result of `varjepa drift`, on the terminal."""

from varjepa.amounts import counted, figure, share
from varjepa.errors import listed
from varjepa.flows.show.console import console, print_table, shows_plain, whole_table
from varjepa.flows.show.evaluate import METRICS
from varjepa.tasks.answers.drift import BackfillAnswer, DriftAnswer
from varjepa.visible import visible

MOST_LINES = 25


@shows_plain
def show_backfill(result: BackfillAnswer) -> None:
    """A line for each day."""
    table = whole_table("day", "rows", "score", "result", title=f"drift of {visible(result['name'])}")
    for day in result["days"]:
        score = "" if day["score"] is None else share(day["score"])
        words = "alarm" if day["alarm"] else day["state"]
        table.add_row(day["day"], f"{day['rows']:,}", score, f"{words}: {day['reason']}" if day["reason"] else words)
    print_table(table, console)
    failed = [day["day"] for day in result["days"] if day["state"] == "failed"]
    if failed:
        console.print(f"without rows that can be read: {listed(failed, 20)}")


@shows_plain
def show_drift(result: DriftAnswer) -> None:
    """The tests that report drift, a summary, and the place of the report."""
    drifted = [test for test in result["tests"] if test["verdict"] == "drift"]
    if drifted:
        # The sentence names what drifted and how, so that no column for either makes it narrow.
        table = whole_table("drift", "effect", "p, corrected")
        for test in drifted[:MOST_LINES]:
            table.add_row(test["says"], share(test["effect"]), f"{test['adjusted']:.2g}")
        print_table(table, console)
    rest = f" ({len(drifted) - MOST_LINES} more in the report)" if len(drifted) > MOST_LINES else ""
    alarms = result["settings"]["false_alarms"]
    console.print(
        f"{counted(result['rows'], 'row')}, {len(drifted)} of {len(result['tests'])} tests report drift{rest}; "
        f"false alarms: at most {share(alarms, 0)} of unchanged batches"
    )
    if result["training_table"]:
        console.print(
            "[yellow]This is the table that the model was trained on: nothing new can be seen in it.[/yellow]"
        )
    for unseen in result["unseen_classes"][:MOST_LINES]:
        spelling = "" if unseen["spelling_of"] is None else f', perhaps a spelling of "{unseen["spelling_of"]}"'
        console.print(f'label "{unseen["name"]}" is no class of the model: {counted(unseen["rows"], "row")}{spelling}')
    if (estimate := result["estimate"]) is not None:
        console.print(
            f"estimated accuracy without labels: {figure(estimate['accuracy'])} "
            f"(90% interval {figure(estimate['low'])} to {figure(estimate['high'])})"
        )
    for name, values in result["quality"].items():
        words = METRICS.get(name, name.replace("_", " "))
        console.print(f"{words} of the head: {figure(values['new'])}, in the reference {figure(values['reference'])}")
    if result["retrained"] is not None:
        model, verdict = result["retrained"]["model"], "is" if result["retrained"]["promoted"] else "is not"
        console.print(f"retrained: {model['uri']} {verdict} promoted: {result['retrained']['reason']}")
    console.print(
        f"run {result['run_id']}, report to open in a browser: [b]{result['report']}[/b], {result['seconds']:.1f} s",
        soft_wrap=True,
    )
