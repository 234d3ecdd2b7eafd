"""What the validation step leaves, and what holds for any rows: their order, their number, no word to anybody."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.flows.test_contract import AGE, COLUMNS, check, reasons, snapshot
from varjepa.data.read.contract import Contract
from varjepa.errors import VarjepaError
from varjepa.tasks.contract.engine import DuckDBExecutionEngine
from varjepa.tasks.contract.run import validate


def test_pages_need_no_network_and_the_result_is_kept(tmp_path):
    validation = check(tmp_path, COLUMNS, columns={"age": AGE | {"max": 3}}, max_quarantined=0.5)
    page = (validation.docs / "index.html").read_text()
    assert "http" not in page
    assert "<script" not in page
    assert "row 3: 4" in page
    (link,) = re.findall(r'href="([^"]+)"', page)
    assert (validation.docs / link).is_file()
    pages = list((validation.docs / "gx").rglob("*.html"))
    assert any("validations" in page.parts for page in pages)
    for page in pages:
        text = page.read_text()
        assert not re.search(r"(src|href)=.?(https?:)?//|<script", text), page
        assert text.count("<style>") == 1
    assert {file.suffix for file in (validation.docs / "gx").rglob("*") if file.is_file()} == {".html"}
    result = json.loads((tmp_path / "out" / "validation.json").read_text())
    assert result["statistics"]["evaluated_expectations"] == validation.rules == len(result["results"])


def test_templates_of_pages_are_compiled_once(tmp_path, monkeypatch):
    from jinja2 import Environment

    for place in ("first", "second"):
        (tmp_path / place).mkdir()
    check(tmp_path / "first", COLUMNS, columns={"age": AGE})
    compiled, compiles = [], Environment.compile

    def counted(self, source, name=None, *others, **more):
        compiled.append(name)
        return compiles(self, source, name, *others, **more)

    monkeypatch.setattr(Environment, "compile", counted)  # compiles as before, and is counted
    pages = list((check(tmp_path / "second", COLUMNS, columns={"age": AGE}).docs / "gx").rglob("*.html"))
    assert (len(pages), compiled) == (3, [])


def test_the_result_is_json_where_cells_are_infinite(tmp_path):
    columns = {"age": [1.0, float("inf"), float("nan"), 4.0]}
    check(tmp_path, columns, columns={"age": {"kind": "numeric"}}, max_quarantined=0.5)
    text = (tmp_path / "out" / "validation.json").read_text()
    json.loads(text, parse_constant=pytest.fail)  # it held Infinity, which no other program reads


QUIET = """
import socket, sys
from pathlib import Path
from varjepa.tasks.contract.run import validate
from varjepa.data.read.contract import Contract
assert not {"great_expectations", "duckdb", "polars"} & set(sys.modules)
def refuse(*_): raise AssertionError("calls home")
socket.socket.connect = socket.getaddrinfo = refuse
contract = Contract(columns={"age": {"kind": "numeric", "max": 3, "unique": True}}, max_quarantined=0.5)
print(validate(Path(sys.argv[1]), contract, Path(sys.argv[2])).quarantined)
"""


def test_it_says_nothing_and_calls_nobody(tmp_path):
    command = [sys.executable, "-c", QUIET, str(snapshot(tmp_path, COLUMNS)), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_rows_of_many_row_groups_keep_their_order(tmp_path):
    """Several threads write the small file beside the table: what they found must meet the right rows again."""
    rows, group = 200_000, 5_000
    numbers = pl.int_range(rows, dtype=pl.Int64, eager=True)
    bad = numbers % 9_973 == 0
    path = tmp_path / "snapshot.parquet"
    frame = pl.DataFrame(
        {
            "__row__": numbers,
            "x": pl.select(pl.when(bad).then(-numbers - 1).otherwise(numbers)).to_series(),
            "text": numbers.cast(pl.String),
        }
    )
    frame.write_parquet(path, row_group_size=group)
    columns = {"x": {"kind": "numeric", "min": 0, "unique": True}, "text": {"kind": "numeric"}}
    validation = validate(path, Contract(max_quarantined=0.01, columns=columns), tmp_path / "out")
    assert list(reasons(validation)) == numbers.filter(bad).to_list()
    clean = pl.read_parquet(validation.clean)
    assert clean["__row__"].to_list() == numbers.filter(~bad).to_list()
    assert (clean["text"] == clean["__row__"]).all()


def flags(folder: Path, rows: int, columns: int) -> tuple[Path, Contract]:
    """Columns of zeros and ones, which the contract calls booleans, and a number that is out of bounds in every 100th
    row.
    """
    rng = np.random.default_rng(0)
    names = [f"flag {number}" for number in range(columns)]
    bits = {name: rng.integers(0, 2, rows).astype(np.uint8) for name in names}
    path = folder / "flags.parquet"
    pl.DataFrame({"__row__": np.arange(rows)} | bits | {"number": np.arange(rows) % 100}).write_parquet(path)
    kinds = {name: {"kind": "boolean"} for name in names} | {"number": {"kind": "numeric", "min": 1}}
    return path, Contract.model_validate({"columns": kinds, "max_quarantined": 0.5})


@pytest.mark.slow
def test_wide_tables_take_no_more_memory_than_they_may(tmp_path, monkeypatch, caplog):
    # A seventh of the usual memory, for a table of a few rows.
    monkeypatch.setattr("varjepa.tasks.contract.run.MEMORY", 60_000_000)
    path, contract = flags(tmp_path, 30_000, 60)
    with caplog.at_level("WARNING", "varjepa"):
        assert validate(path, contract, tmp_path / "out").quarantined == 300
    assert "more than" not in caplog.text


@pytest.mark.slow
def test_hundreds_of_columns_are_asked_about_in_parts_and_a_part_too_large_is_asked_once(tmp_path, monkeypatch, caplog):
    """The figures of 300 columns at once do not fit into what their parts fit into."""
    names = [f"number {number}" for number in range(300)]
    cells = np.random.default_rng(0).normal(size=(20_000, len(names)))
    pl.DataFrame({"__row__": np.arange(len(cells))} | dict(zip(names, cells.T, strict=True))).write_parquet(
        tmp_path / "wide.parquet"
    )
    contract = Contract.model_validate({"columns": {name: {"kind": "numeric", "min": -9} for name in names}})
    # Less than all figures need, and more than a part of them does.
    monkeypatch.setattr("varjepa.tasks.contract.run.MEMORY", 120_000_000)
    queries = []
    ask = DuckDBExecutionEngine.execute_query
    # Counts the queries, which are asked as ever.
    monkeypatch.setattr(DuckDBExecutionEngine, "execute_query", lambda *words: queries.append(words) or ask(*words))
    with caplog.at_level("WARNING", "varjepa"):
        assert validate(tmp_path / "wide.parquet", contract, tmp_path / "parts").rows == len(cells)
        assert "more than" not in caplog.text
        monkeypatch.setattr("varjepa.tasks.contract.engine.FIGURES", 10**9)  # all at once
        parts = len(queries)
        assert validate(tmp_path / "wide.parquet", contract, tmp_path / "whole").rows == len(cells)
    assert "validation needs more than 120 MB of memory" in caplog.text
    assert len(queries) - parts < 10


@pytest.mark.slow
def test_what_needs_more_memory_takes_it_or_says_so(tmp_path, monkeypatch, caplog):
    path, contract = flags(tmp_path, 20_000, 30)
    usual = validate(path, contract, tmp_path / "usual")
    monkeypatch.setattr("varjepa.tasks.contract.run.MEMORY", 5_000_000)
    with caplog.at_level("WARNING", "varjepa"):
        more = validate(path, contract, tmp_path / "more")
    assert "validation needs more than 5 MB of memory" in caplog.text
    for name in ("clean", "quarantine"):
        assert pl.read_parquet(getattr(more, name)).equals(pl.read_parquet(getattr(usual, name)))

    monkeypatch.setattr("varjepa.tasks.contract.run.memory_left", lambda: 0)
    with pytest.raises(VarjepaError, match=r"needs more memory than there is: 0\.0 GiB are left"):
        validate(path, contract, tmp_path / "none")
    assert [file.name for file in (tmp_path / "none").iterdir()] == []
