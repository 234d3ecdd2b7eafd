"""The result of a batch command, on the terminal."""

from varjepa.flows.show.console import console, shows_plain
from varjepa.tasks.answers import FileAnswer, ScoredDaysAnswer, SimilarAnswer


@shows_plain
def show_summary(result: FileAnswer) -> None:
    """Rows, accepted rows, output file and speed."""
    shares = {name: f", {result[name]:.1%} {name}" for name in ("accepted",) if name in result}
    cells = f", {result['cells']:,} cells filled" if "cells" in result else ""
    files = f" of {result['scored']} files" if "files" in result else ""
    console.print(
        f"{result['rows']:,} rows{files}{cells}{''.join(shares.values())} to [b]{result['out']}[/b], "
        f"{result['seconds']:.1f} s, {result['rows_per_second']:,} rows/s"
    )


@shows_plain
def show_days(result: ScoredDaysAnswer) -> None:
    """A line for each day."""
    for day in result["days"]:
        reason = f": {day['reason']}" if day["reason"] else f", {day['rows']:,} rows to {day['out']}"
        console.print(f"{day['day']} {day['state']}{reason}")


@shows_plain
def show_search(result: SimilarAnswer) -> None:
    """Rows written, rows searched, and the index."""
    looked = f" for {result['queries']:,} rows" if "queries" in result else ""
    made = "reused" if result["reused"] else "made"
    console.print(
        f"{result['rows']:,} lines{looked} to [b]{result['out']}[/b], {result['table_rows']:,} rows searched, "
        f"index {made} in {result['index']}, {result['seconds']:.1f} s"
    )
