"""The simulation study and the benchmark, on the terminal."""

from varjepa.flows.show.console import console, print_table, shows_plain, whole_table
from varjepa.tasks.answers.studies import BenchmarkAnswer, LabelCurvesAnswer, SimulationAnswer


@shows_plain
def show_study(result: SimulationAnswer) -> None:
    """Our means next to the published ones, one line per variant and latent; then RankMe and active units per model."""
    rows: dict[tuple[str, str], list[str]] = {}
    for cell in result["table"]:
        row = rows.setdefault((cell["variant"], cell["latent"]), [])
        row.append(f"{cell['ours']:.4g} ({cell['published']:.4g})")
    names = list(dict.fromkeys(cell["diagnostic"] for cell in result["table"]))
    table = whole_table("variant", "latent", *names, title="ours (published)")
    for (variant, latent), cells in rows.items():
        table.add_row(variant, latent, *cells)
    print_table(table, console)
    for name, metrics in result["models"].items():
        console.print(
            f"{name}: RankMe of s_x {metrics['s_x/rankme']:.2f}, {metrics['s_x/active_units']:.1f} active units"
        )
    console.print(
        f"run {result['run_id']}, report {result['report']}, {result['seconds']['total']:.0f} s", soft_wrap=True
    )


@shows_plain
def show_label_curves(result: LabelCurvesAnswer) -> None:
    """Accuracy or R2 over the number of labelled rows, one line per data set and number."""
    methods = list(dict.fromkeys(point["method"] for point in result["points"]))
    cells = {(point["dataset"], point["labels"], point["method"]): point for point in result["points"]}
    table = whole_table("data set", "labelled rows", *methods, title="accuracy or R2 on test rows, 95% intervals")
    for dataset, labels in dict.fromkeys(key[:2] for key in cells):
        found = (cells[dataset, labels, method] for method in methods)
        shown = [f"{point['mean']:.4f} ({point['low']:.4f} to {point['high']:.4f})" for point in found]
        table.add_row(dataset, f"{labels:,}", *shown)
    print_table(table, console)
    for key, words in result["verdicts"].items():
        console.print(f"{key}: self-supervision {words}")
    console.print(
        f"run {result['run_id']}, report {result['report']}, {result['seconds']['total']:.0f} s", soft_wrap=True
    )


@shows_plain
def show_benchmark(result: BenchmarkAnswer) -> None:
    """Our figures next to the published ones, one line per data set and predictor."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in result["table"]:
        if row["metric"] in ("accuracy", "r2"):
            published = "" if row["published"] is None else f" ({row['published']:.3f})"
            line = rows.setdefault((row["dataset"], row["predictor"]), {})
            line[row["features"]] = f"{row['mean']:.4f}{published}"
    names = list(dict.fromkeys(name for line in rows.values() for name in line))
    table = whole_table("data set", "predictor", *names, title="accuracy or R2 on test rows, ours (published)")
    for (dataset, predictor), line in rows.items():
        table.add_row(dataset, predictor, *(line.get(name, "") for name in names))
    print_table(table, console)
    for pair, counts in result["tally"].items():
        console.print(f"{pair}: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    console.print(
        f"run {result['run_id']}, report {result['report']}, {result['seconds']['total']:.0f} s", soft_wrap=True
    )
