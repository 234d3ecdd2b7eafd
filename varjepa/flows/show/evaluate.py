"""The result of `varjepa evaluate`, on the terminal."""

from varjepa.amounts import counted, figure, share
from varjepa.flows.show.console import console, print_table, shows_plain, whole_table
from varjepa.flows.show.verdicts import OPEN
from varjepa.tasks.answers.drift import EvaluateAnswer

COLOURS = {"held": "green", "broken": "red", "open": "yellow"}

WORDS = {
    "certificate": "accepted rows are right", "coverage": "sets or intervals hold the label",
    "estimate": "accuracy, as estimated",
}  # fmt: skip
"""Promise -> what it says of the rows."""

METRICS = {"ece": "ECE", "rmse": "RMSE", "r2": "R2"}
SHARES = ("accepted", "coverage")
"""Metrics that are shares of the rows."""


@shows_plain
def show_evaluation(result: EvaluateAnswer) -> None:
    """Metrics of the labelled rows, and what came of every promise."""
    shown = (
        f"{METRICS.get(name, name)} {share(value) if name in SHARES else figure(value)}"
        for name, value in result["metrics"].items()
    )
    console.print(f"{counted(result['rows'], 'labelled row')}: {', '.join(shown)}")
    if result["promises"]:
        table = whole_table("promise", "promised", "measured", "95% interval", "rows", "verdict")
        for promise in result["promises"]:
            interval = f"{share(promise['low'])} to {share(promise['high'])}"
            verdict = f"[{COLOURS[promise['verdict']]}]{promise['verdict']}[/]"
            figures = (share(promise["promised"]), share(promise["measured"]), interval, f"{promise['rows']:,}")
            table.add_row(WORDS[promise["name"]], *figures, verdict)
        print_table(table, console)
        if any(promise["verdict"] == "open" for promise in result["promises"]):
            console.print(OPEN, style="dim")
    if (estimate := result["estimate"]) is not None:
        console.print(
            f"without labels, the accuracy was estimated at {share(estimate['accuracy'])} "
            f"(90% interval {share(estimate['low'])} to {share(estimate['high'])})"
        )
    if result["training_table"]:
        console.print("[yellow]These rows are of the table that the model was trained on: new rows say more.[/yellow]")
    console.print(f"run {result['run_id']}, {result['seconds']:.1f} s", soft_wrap=True)
