"""Reading a plain CSV file, against Polars with the same types: `python -m benchmarks.reading adult.csv.gz`.

The rows of the file are repeated until there are two million. "Before" is how files were read at commit 0bdf304: types
of the first rows, tried on all others, and nothing else looked at.
"""

import gzip
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.harness import RESULTS, Figure, in_turns, publish
from varjepa.config import DataSection
from varjepa.data.files.opened import open_files
from varjepa.data.read.sources import GLANCE, open_path

ROWS = 2_000_000
REPEATS = 7


def repeated(packed: Path, target: Path, rows: int = ROWS) -> None:
    """Writes a file whose rows are repeated."""
    head, body = gzip.decompress(packed.read_bytes()).split(b"\n", 1)
    with target.open("wb") as stream:
        stream.write(head + b"\n")
        for _ in range(rows // body.count(b"\n")):
            stream.write(body)


def before(file: Path, data: DataSection) -> pl.DataFrame:
    """The rows as commit 0bdf304 read them."""

    def scan(**options: Any) -> pl.LazyFrame:
        return pl.scan_csv([file], separator=",", null_values=list(data.na_values), try_parse_dates=True, **options)

    assert all(scan(infer_schema_length=0).head(GLANCE).select(pl.all().count()).collect().row(0))
    types = scan(infer_schema_length=GLANCE).collect_schema()
    frame = scan(infer_schema_length=0, schema_overrides=types)
    frame.select(pl.all().count()).collect(engine="streaming")
    return frame.collect(engine="streaming")


def run(packed: Path) -> list[Figure]:
    """Times all ways of reading in turns."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        repeated(packed, file)
        data = DataSection(path=str(file))
        timings = in_turns(
            {
                "before": lambda: before(file, data),
                "now": lambda: open_files(str(file), data, ()).frame.collect(engine="streaming"),
                "spelled": lambda: open_path(str(file), data).frame.collect(engine="streaming"),
            },
            REPEATS,
        )
        assert open_files(str(file), data, ()).frame.collect().equals(before(file, data))
    least = {name: min(timing.seconds) for name, timing in timings.items()}
    noise = {name: timing.noise for name, timing in timings.items()}
    return [
        Figure("plain CSV, 2 million rows, before: least of seven", least["before"], "s", noise["before"]),
        Figure("now", least["now"], "s", noise["now"]),
        Figure("now over before", least["now"] / least["before"], "x", asked="at most 1.3"),
        Figure("with the spelling of cells, over before", least["spelled"] / least["before"], "x", noise["spelled"]),
    ]


if __name__ == "__main__":
    publish(
        "reading", run(Path(sys.argv[1])), RESULTS, command=f"python -m benchmarks.reading {Path(sys.argv[1]).name}"
    )
