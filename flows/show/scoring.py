"""The result of a batch command, on the terminal."""

from flows.show.console import console
from tasks.answers import FileAnswer


def show_summary(result: FileAnswer) -> None:
    """Rows, accepted rows, output file and speed."""
    shares = {name: f", {result[name]:.1%} {name}" for name in ("accepted",) if name in result}
    cells = f", {result['cells']:,} cells filled" if "cells" in result else ""
    files = f" of {result['scored']} files" if "files" in result else ""
    console.print(
        f"{result['rows']:,} rows{files}{cells}{''.join(shares.values())} to [b]{result['out']}[/b], "
        f"{result['seconds']:.1f} s, {result['rows_per_second']:,} rows/s"
    )
