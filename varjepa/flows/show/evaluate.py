"""The result of `varjepa evaluate`, on the terminal."""

from varjepa.amounts import counted, figure
from varjepa.flows.show.console import console, print_table, shows_plain, whole_table
from varjepa.tasks.answers.drift import EvaluateAnswer

COLOURS = {"held": "green", "broken": "red", "open": "yellow"}


@shows_plain
def show_evaluation(result: EvaluateAnswer) -> None:
    """Metrics of the labelled rows, and what came of every promise."""
    shown = "  ".join(f"{name} {figure(value)}" for name, value in result["metrics"].items())
    console.print(f"{counted(result['rows'], 'labelled row')}: {shown}")
    if result["promises"]:
        table = whole_table("promise", "promised", "measured", "95% interval", "rows", "verdict")
        for promise in result["promises"]:
            interval = f"{figure(promise['low'])} to {figure(promise['high'])}"
            verdict = f"[{COLOURS[promise['verdict']]}]{promise['verdict']}[/]"
            figures = (figure(promise["promised"]), figure(promise["measured"]), interval, f"{promise['rows']:,}")
            table.add_row(promise["name"], *figures, verdict)
        print_table(table, console)
    if (estimate := result["estimate"]) is not None:
        console.print(
            f"without labels, the accuracy was estimated at {figure(estimate['accuracy'])} "
            f"(90% interval {figure(estimate['low'])} to {figure(estimate['high'])})"
        )
    console.print(f"run {result['run_id']}, {result['seconds']:.1f} s", soft_wrap=True)
