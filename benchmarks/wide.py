"""Training steps on tables of hundreds of columns: every feature attends to every other, or by way of points."""

from benchmarks.harness import Figure, in_turns
from benchmarks.training import Shape, Stepper
from varjepa.config import MaskingSection
from varjepa.config.learning import ModelSection
from varjepa.data.tensors.table import TableSizes
from varjepa.training.device import keep_memory

COLUMNS = (200, 500, 1500)
ROWS, REPEATS = 64, 3
ASKED_ROWS = 20_000
"""Rows whose training time is stated for the widest table."""


def run() -> list[Figure]:
    """Rows per second of both kinds of attention, in turns."""
    keep_memory()
    figures = []
    for columns in COLUMNS:
        steppers = {
            n_points: Stepper(
                Shape(TableSizes(columns, []), ModelSection(size="wide", n_points=n_points), MaskingSection(), ROWS),
                steps=1,
            )
            for n_points in (0, 32)
        }
        found = in_turns({str(n_points): stepper for n_points, stepper in steppers.items()}, REPEATS)
        full, points = (ROWS / found[key].median for key in ("0", "32"))
        figures += [
            Figure(f"{columns} columns: every feature to every other", full, "rows/s", found["0"].noise),
            Figure(f"{columns} columns: by way of 32 points", points, "rows/s", found["32"].noise),
            Figure(f"{columns} columns: points over full attention", points / full, "x"),
        ]
    figures.append(
        Figure(f"a pass over {ASKED_ROWS:,} rows of {COLUMNS[-1]:,} columns", ASKED_ROWS / points / 60, "min")
    )
    return figures
