"""The contract that `init` drafts holds for the very rows from which it was drafted."""

from datetime import date, timedelta
from math import inf
from pathlib import Path

import polars as pl
import pytest

from varjepa.config import load_config
from varjepa.data.read.contract import load_contract
from varjepa.tasks.contract.run import validate
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.setup.initialise import initialise

ROWS = 120
DAYS = [date(2015, 1, 1) + timedelta(days=17 * row) for row in range(ROWS)]
TABLE = pl.DataFrame({
    "open end": [date.max if row % 7 == 0 else day for row, day in enumerate(DAYS)],
    "nearly": [date(9999, 12, 30) if row == 5 else day for row, day in enumerate(DAYS)],
    "beyond": [inf if row % 4 == 0 else 1e308 if row % 4 == 1 else row * 0.7 for row in range(ROWS)],
    "running, wide": [str(10**20 + row) for row in range(ROWS)],
    "wide": [str(2**63) if row == 9 else str(row % 50) for row in range(ROWS)],
    "line\u2028end\x85s": [f"a{row % 3}\u2028b" for row in range(ROWS)],
})  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_no_row_breaks_the_contract_that_was_drafted_from_it(tmp_path: Path, monkeypatch, ending: str) -> None:
    monkeypatch.chdir(tmp_path)
    wide = pl.col("running, wide", "wide").cast(pl.Int128)
    TABLE.write_csv("t.csv") if ending == "csv" else TABLE.with_columns(wide).write_parquet("t.parquet")
    started = initialise(f"t.{ending}", label=None, out=None, force=False)
    kinds = {name: facts.kind for name, facts in started.profiles.items()}
    assert kinds == dict.fromkeys(TABLE.columns, "categorical") | {
        "open end": "date", "nearly": "date", "beyond": "numeric", "running, wide": "identifier", "wide": "numeric",
    }  # fmt: skip
    config = load_config(started.config)
    contract = load_contract(str(config.contract.path))
    snapshot = ingest.fn(config)
    validation = validate(snapshot.path, contract, tmp_path / "out")
    assert (validation.rows, validation.quarantined) == (ROWS, 0)
    assert "beyond" in snapshot.doubts
