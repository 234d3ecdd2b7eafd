"""Scoring a file compared with the bare forward pass of the same network, and memory by number of rows."""

import tempfile
from pathlib import Path

import polars as pl
from pyarrow import parquet

from benchmarks.harness import Figure, child, in_turns
from varjepa.data.read.sim_table import sim_table
from varjepa.inference.estimator import VarTJEPA
from varjepa.models.embedding import embed
from varjepa.tasks.scoring.one_file import Request, score

FEW, MANY, REPEATS = 10_000, 400_000, 3
BLOCK = 100_000
GROUPS = ("uncertainty",)
TINY = {
    "d_hidden": 16, "n_layers": 2, "n_heads": 2, "d_feedforward": 32, "pred_d": 8, "pred_n_layers": 1,
    "pred_n_heads": 2, "pred_d_feedforward": 16,
}  # fmt: skip

ALONE = """
import sys
from pathlib import Path
from benchmarks.scoring import GROUPS
from varjepa.tasks.scoring.one_file import Request, score
from varjepa.inference.storage import load_model
model, request = load_model(Path(sys.argv[1])), Request(sys.argv[2], sys.argv[3], force=True)
print(score(model, request, GROUPS)["rows_per_second"])
"""


def made_estimator(model: dict[str, int]) -> VarTJEPA:
    """A network trained on SIM for one epoch; its quality does not matter here."""
    config = {"model": model, "training": {"max_epochs": 1}, "generator": {"n_layers": 0}}
    return VarTJEPA(config).fit(sim_table(rows=5_000).drop("label", "ambiguity"))


def write_rows(path: Path, rows: int) -> None:
    """A Parquet file with this many SIM rows: a block of rows, repeated."""
    block = sim_table(rows=min(BLOCK, rows), seed=1).drop("label", "ambiguity").to_arrow()
    with parquet.ParquetWriter(path, block.schema) as writer:
        for start in range(0, rows, BLOCK):
            writer.write_table(block.slice(0, min(BLOCK, rows - start)))


def speed(name: str, sizes: dict[str, int], rows: int, folder: Path) -> list[Figure]:
    """Rows per second from file to file, and of the forward pass on encoded rows."""
    model, source = made_estimator(sizes).model_, folder / f"{rows}.parquet"
    write_rows(source, rows)
    table, request = (
        model.encode(pl.read_parquet(source)),
        Request(str(source), str(folder / "out.parquet"), force=True),
    )
    found = in_turns(
        {"file": lambda: score(model, request, GROUPS), "bare": lambda: embed(model.network, table)}, REPEATS
    )
    file, bare = found["file"], found["bare"]
    return [
        Figure(f"{name}: from file to file", rows / file.median, "rows/s", file.noise),
        Figure(f"{name}: bare forward pass", rows / bare.median, "rows/s", bare.noise),
        Figure(f"{name}: from file to file over bare", bare.median / file.median, "x", None, "at least 0.8"),
    ]


def memory(folder: Path) -> list[Figure]:
    """Peak memory of processes that score few and many rows."""
    saved = folder / "model"
    made_estimator(TINY).save(saved)
    peaks, speeds = {}, {}
    for rows in (FEW, MANY):
        source = folder / f"{rows}.parquet"
        write_rows(source, rows)
        peaks[rows], out = child("-c", ALONE, str(saved), str(source), str(folder / "out.parquet"))
        speeds[rows] = float(out)
    return [
        Figure(f"tiny: {MANY:,} rows", speeds[MANY], "rows/s"),
        Figure(f"tiny: peak memory, {FEW:,} rows", peaks[FEW], "GiB"),
        Figure(f"tiny: peak memory, {MANY:,} rows", peaks[MANY], "GiB", None, "flat"),
    ]


def run() -> list[Figure]:
    """The published sizes, a tiny network, and memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [*speed("published sizes", {}, 8_000, folder), *speed("tiny", TINY, 100_000, folder), *memory(folder)]
