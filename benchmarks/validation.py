"""The validation step on a table larger than its memory, with a known number of invalid rows."""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from benchmarks.harness import Figure, child
from benchmarks.preprocessing import COMPLETE, LABEL, made_batch, make, words
from varjepa.data.read.contract import Contract
from varjepa.data.read.sources import ROW

ROWS = 20_000_000
"""Rows of the table."""
EVERY = 1000
"""One row of so many breaks the contract, each in one of the ways below."""
FAULTS = {
    "normal0": 99.0, "normal3": None, "skewed0": -1.0, "price": float("inf"), "age": 212, "visits": -3,
    "colour": "coulour", "region": "nowhere", "product": None,
}  # fmt: skip
"""Cells that break the contract, planted in turns."""


def run(rows: int = ROWS) -> list[Figure]:
    """Creates the table, measures, deletes it."""
    with TemporaryDirectory() as folder:
        table = Path(folder) / "table"
        make(table, _flawed_batch, rows)
        idle, _ = child("-m", "benchmarks.validation", "nothing", str(table))
        peak, out = child("-m", "benchmarks.validation", "validate", str(table))
        told = json.loads(out.splitlines()[-1])
    what = f"{rows / 1e6:g} million rows, {told['rules']} expectations"
    return [
        Figure(what, told["seconds"], "s"),
        Figure("memory after the imports", idle, "GiB"),
        Figure("peak memory", peak, "GiB", asked="under 1.2"),
        Figure("bad rows planted", told["planted"], "rows"),
        Figure("bad rows found over those planted", told["found"] / told["planted"], "x", asked="1, all of them"),
        Figure("rows in quarantine that are not bad", told["wrong"], "rows", asked="0"),
    ]


def _flawed_batch(first: int, rows: int) -> pl.DataFrame:
    frame = made_batch(first, rows).with_columns(_fault(pl.int_range(first, first + rows)).alias("fault"))
    return frame.with_columns(
        pl.when(pl.col("fault") == number).then(pl.lit(cell, dtype=frame.schema[name])).otherwise(name).alias(name)
        for number, (name, cell) in enumerate(FAULTS.items())
    ).drop("fault")


def _fault(row: pl.Expr) -> pl.Expr:
    """The fault that is planted in a row; null for none."""
    return pl.when(row % EVERY == 0).then(row // EVERY % len(FAULTS))


def _contract() -> Contract:
    """One rule for the number of rows, one against extra columns, 15 for existing columns, 23 for their cells."""
    columns: dict[str, dict[str, Any]] = {f"normal{n}": {"kind": "numeric", "min": -20, "max": 20} for n in range(4)}
    columns |= {
        "skewed0": {"kind": "numeric", "min": 0},
        "skewed1": {"kind": "numeric"},
        "price": {"kind": "numeric", "min": 0},
        "height": {"kind": "numeric"},
        "age": {"kind": "numeric", "min": 0, "max": 120},
        "visits": {"kind": "numeric", "min": 0},
        "colour": {"kind": "categorical", "values": words("colour")},
        "region": {"kind": "categorical", "values": words("region")},
        "product": {"kind": "categorical"},
        "place": {"kind": "categorical"},
        LABEL: {"kind": "boolean"},
    }
    for name in COMPLETE:
        columns[name]["nullable"] = False
    return Contract.model_validate({"min_rows": 1000, "extra_columns": "forbid", "columns": columns})


def _nothing(_folder: Path) -> dict[str, float]:
    import varjepa.tasks.contract.engine
    import varjepa.tasks.retrain.validate  # noqa: F401 (what it needs is the measurement)

    return {}


def _validate(folder: Path) -> dict[str, float]:
    from varjepa.tasks.contract.run import validate

    started = time.perf_counter()
    done = validate(folder / "table.parquet", _contract(), folder / "out")
    seconds = time.perf_counter() - started
    planted = _fault(pl.col(ROW)).is_not_null()
    bad = pl.scan_parquet(done.quarantine).select(planted.sum().alias("found"), (~planted).sum().alias("wrong"))
    rows = pl.scan_parquet(folder / "table.parquet").select(planted.sum().alias("planted"))
    clean = pl.scan_parquet(done.clean).select(pl.len().alias("clean"))
    counts = pl.concat([bad, rows, clean], how="horizontal").collect(engine="streaming").row(0, named=True)
    assert counts["clean"] + counts["found"] + counts["wrong"] == done.rows
    return {"seconds": seconds, "rules": done.rules} | counts


if __name__ == "__main__":
    roles = {"nothing": _nothing, "validate": _validate}
    print(json.dumps(roles[sys.argv[1]](Path(sys.argv[2]))))
