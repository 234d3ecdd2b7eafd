"""The result of `varjepa evaluate`, on the terminal."""

from varjepa.flows.show.console import console, shows_plain, whole_table
from varjepa.tasks.answers.drift import EvaluateAnswer

COLOURS = {"held": "green", "broken": "red", "open": "yellow"}


@shows_plain
def show_evaluation(result: EvaluateAnswer) -> None:
    """Metrics of the labelled rows, and what came of every promise."""
    shown = "  ".join(f"{name} {value:.4f}" for name, value in result["metrics"].items())
    console.print(f"{result['rows']:,} labelled rows: {shown}")
    if result["promises"]:
        table = whole_table("promise", "promised", "measured", "95% interval", "rows", "verdict")
        for promise in result["promises"]:
            interval = f"{promise['low']:.4f} to {promise['high']:.4f}"
            verdict = f"[{COLOURS[promise['verdict']]}]{promise['verdict']}[/]"
            figures = (f"{promise['promised']:.4f}", f"{promise['measured']:.4f}", interval, f"{promise['rows']:,}")
            table.add_row(promise["name"], *figures, verdict)
        console.print(table)
    if (estimate := result["estimate"]) is not None:
        console.print(
            f"without labels, the accuracy was estimated at {estimate['accuracy']:.4f} "
            f"(90% interval {estimate['low']:.4f} to {estimate['high']:.4f})"
        )
    console.print(f"run {result['run_id']}, {result['seconds']:.1f} s", soft_wrap=True)
