"""The result of a batch command, on the terminal."""

from varjepa.amounts import counted, share
from varjepa.errors import listed
from varjepa.flows.show.console import console, shows_plain
from varjepa.tasks.answers.tables import FileAnswer, FilePlan, ScoredDaysAnswer, SimilarAnswer


@shows_plain
def show_summary(result: FileAnswer) -> None:
    """Rows, accepted rows, output file and speed."""
    accepted = f", {share(result['accepted'])} accepted" if "accepted" in result else ""
    cells = f", {counted(result['cells'], 'cell')} filled" if "cells" in result else ""
    files = f" of {counted(result['scored'], 'file')}" if "files" in result else ""
    console.print(
        f"Wrote {counted(result['rows'], 'row')}{files} to [b]{result['out']}[/b]{cells}{accepted}: "
        f"{result['seconds']:.1f} s, {result['rows_per_second']:,} rows/s",
        soft_wrap=True,
    )


@shows_plain
def show_days(result: ScoredDaysAnswer) -> None:
    """A line for each day."""
    for day in result["days"]:
        reason = f": {day['reason']}" if day["reason"] else f", {counted(day['rows'], 'row')} to {day['out']}"
        console.print(f"{day['day']} {day['state']}{reason}")


@shows_plain
def show_search(result: SimilarAnswer) -> None:
    """Rows written, rows searched, and the index."""
    looked = f" for {counted(result['queries'], 'row')}" if "queries" in result else ""
    made = "reused" if result["reused"] else "made"
    console.print(
        f"Wrote {counted(result['rows'], 'line')}{looked} to [b]{result['out']}[/b]: "
        f"{counted(result['table_rows'], 'row')} searched, "
        f"index {made} in {result['index']}, {result['seconds']:.1f} s",
        soft_wrap=True,
    )
    if result.get("same"):
        console.print(
            f"The nearest row of {counted(result['same'], 'row')} is an equal one, such as itself; "
            "--leave-same leaves it out",
            soft_wrap=True,
        )


@shows_plain
def show_file_plan(plan: FilePlan) -> None:
    """What a command over a table would read and write."""
    reads = f", which reads {counted(len(plan['reads']), 'column')}" if plan["reads"] else ""
    console.print("Nothing was written. Names, places and columns are right; the command would")
    console.print(f"  open     [b]{plan['model']}[/b]{reads}", soft_wrap=True)
    for source in plan["sources"]:
        counts = {"file": source["files"], "row": source["rows"]}
        said = "".join(f", {counted(count, what)}" for what, count in counts.items() if count is not None)
        console.print(f"  read     [b]{source['place']}[/b]{said}", soft_wrap=True)
        if source["unused"]:
            console.print(f"           not used by the model: {listed(source['unused'])}", soft_wrap=True)
    columns = f": {', '.join(plan['columns'])}" if plan["columns"] else ""
    console.print(f"  {plan['action']:<8} [b]{plan['out']}[/b]{columns}", soft_wrap=True)
    if plan["left_out"]:
        console.print(f"           cannot be written there: {', '.join(plan['left_out'])}", soft_wrap=True)
