"""What a retrain would do, on the terminal."""

from collections import Counter

from varjepa.amounts import counted
from varjepa.config.durations import in_words
from varjepa.data.read.left_out import left_out_words
from varjepa.flows.show.console import console, shows_plain
from varjepa.tasks.answers.retrain import PlanAnswer


@shows_plain
def show_plan(plan: PlanAnswer) -> None:
    """Rows, columns, split, steps and time."""
    data, seconds = plan["data"], plan["seconds"]
    sample = f" of {plan['source_rows']:,}" if plan["source_rows"] > data["rows"] else ""
    console.print(f"Plan of [b]{plan['model']}[/b]: nothing is trained or registered yet.")
    console.print(f"rows      {data['rows']:,}{sample}, {data['quarantined']:,} of them in quarantine")
    kinds = Counter(plan["columns"].values())
    features = counted(data["features"], "feature")
    console.print(f"columns   {', '.join(f'{count} {kind}' for kind, count in kinds.items())}; {features}")
    for words in left_out_words(plan["left_out"]):
        console.print(f"          {words}")
    console.print(f"split     {', '.join(f'{rows:,} {part}' for part, rows in plan['parts'].items())}")
    layers, epochs = counted(plan["size"]["n_layers"], "layer"), counted(plan["epochs"], "epoch")
    console.print(f"network   {layers} of width {plan['size']['d_hidden']}, at most {epochs}")
    console.print(f"reused    {', '.join(plan['reused'])}")
    # Of short steps, a plan does not know whether their results are there.
    console.print(f"then      {', '.join(step for step in plan['steps'] if step not in plan['reused'])}")
    console.print(
        f"time      about {in_words(seconds['total'])} here: {in_words(seconds['training'])} for training, "
        f"{in_words(seconds['generator'])} for the generator, {in_words(seconds['rest'])} for the rest"
    )
    if plan["quick_seconds"] < seconds["total"]:
        console.print(f"          with --quick about {in_words(plan['quick_seconds'])}")
