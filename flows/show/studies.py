"""The simulation study and the benchmark, on the terminal."""

from rich.table import Table

from flows.show.console import console
from tasks.answers import BenchmarkAnswer, SimulationAnswer


def show_study(result: SimulationAnswer) -> None:
    """Our means next to the published ones, one line per variant and latent; then RankMe and active units per model."""
    rows: dict[tuple[str, str], list[str]] = {}
    for cell in result["table"]:
        row = rows.setdefault((cell["variant"], cell["latent"]), [])
        row.append(f"{cell['ours']:.4g} ({cell['published']:.4g})")
    names = list(dict.fromkeys(cell["diagnostic"] for cell in result["table"]))
    table = Table("variant", "latent", *names, title="ours (published)")
    for (variant, latent), cells in rows.items():
        table.add_row(variant, latent, *cells)
    console.print(table)
    for name, metrics in result["models"].items():
        console.print(
            f"{name}: RankMe of s_x {metrics['s_x/rankme']:.2f}, {metrics['s_x/active_units']:.1f} active units"
        )
    console.print(f"run {result['run_id']}, report {result['report']}, {result['seconds']['total']:.0f} s")


def show_benchmark(result: BenchmarkAnswer) -> None:
    """Our figures next to the published ones, one line per data set and feature set."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in result["table"]:
        if row["metric"] in ("accuracy", "r2"):
            published = "" if row["published"] is None else f" ({row['published']:.3f})"
            line = rows.setdefault((row["dataset"], row["features"]), {})
            line[row["predictor"]] = f"{row['mean']:.4f}{published}"
    names = list(dict.fromkeys(name for line in rows.values() for name in line))
    table = Table("data set", "features", *names, title="accuracy or R2 on test rows, ours (published)")
    for (dataset, features), line in rows.items():
        table.add_row(dataset, features, *(line.get(name, "") for name in names))
    console.print(table)
    for pair, counts in result["tally"].items():
        console.print(f"{pair}: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    console.print(f"run {result['run_id']}, report {result['report']}, {result['seconds']['total']:.0f} s")
