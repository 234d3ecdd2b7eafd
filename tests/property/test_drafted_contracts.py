"""What `init` writes, a retrain accepts: the same rows keep the contract that was drafted from them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from varjepa.config import load_config
from varjepa.data.read.splits import FEWEST_ROWS
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.validate import check_contract
from varjepa.tasks.setup.initialise import initialise

MOST = 40
START = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)
FIRST, LAST = START.replace(year=1), START.replace(year=9999, month=12, day=31, hour=23)
INFINITE = float("inf")


def repeated(*values: Any) -> Callable[[int], list[Any]]:
    return lambda rows: [values[row % len(values)] for row in range(rows)]


def growing(of: Callable[[int], Any]) -> Callable[[int], list[Any]]:
    return lambda rows: [of(row) for row in range(rows)]


CELLS: dict[str, tuple[Callable[[int], list[Any]], Any]] = {
    "numbers as text, some infinite": (growing(lambda row: "-inf" if row % 5 == 4 else str(row + 1)), pl.String),
    "infinity": (repeated(INFINITE, -INFINITE, 1.0, 2.0), None), "all infinite": (repeated(INFINITE), None),
    "one infinite": (growing(lambda row: INFINITE if row == 0 else float(row)), None),
    "nan": (repeated(float("nan"), 1.0, 2.0), None),
    "largest": (growing(lambda row: (1.7e308, -1.7e308)[row] if row < 2 else float(row)), None),
    "denormal": (growing(lambda row: 5e-324 * row), None), "tiny": (growing(lambda row: 1e-300 * row), None),
    "any size": (growing(lambda row: 10.0 ** (7 * row)), None), "minus zero": (repeated(0.0, -0.0, 1.0), None),
    "int128": (growing(lambda row: 2**100 + row), pl.Int128),
    "extreme int128": (growing(lambda row: -(2**126) if row == 0 else 2**126 + row), pl.Int128),
    "uint64": (growing(lambda row: 2**64 - 1 - 3 * row), pl.UInt64),
    "int64": (growing(lambda row: (-(2**63), 2**63 - 1)[row] if row < 2 else row), pl.Int64),
    "float32": (growing(lambda row: 0.1 * row + 0.123456789), pl.Float32),
    "close": (growing(lambda row: 1 + 1e-15 * row), None),
    "decimal": (growing(lambda row: Decimal(row) / 7), pl.Decimal(38, 10)),
    "large decimal": (growing(lambda row: Decimal(10) ** 27 + row), pl.Decimal(38, 10)),
    "exponents": (repeated("1e5", "A10", "B", "C"), None), "only exponents": (repeated("1e5", "2e5", "3e-3"), None),
    "words of YAML": (repeated("yes", "no", "null", "~"), None), "blanks": (repeated(" ", "", "a", " a "), None),
    "lines": (repeated("a\nb", "a", "\t", "x\r"), None), "quotes": (repeated("'", '"', "''", 'a"b'), None),
    "cases": (repeated("a", "A", "ä", "a\u0308"), None),
    "NUL": (repeated("a\0b", "a", "c"), None), "percent": (repeated("%", "%s", ":x", "{}"), None),
    "backslash": (repeated("\\", "\\n", "\\\\"), None),
    "long": (repeated("x" * 5000, "y" * 5000, "z"), None), "invisible": (repeated("\u202e", "\u200b", "\x85",
    "\u2028"), None),
    "no dates": (repeated("2026-02-30", "2026-01-01", "x"), None), "truth": (repeated(True, False), None),
    "half a truth": (repeated(True, None), None),
    "far dates": (growing(lambda row: (LAST, FIRST)[row].date() if row < 2 else START.date() + timedelta(row)), None),
    "last dates": (growing(lambda row: date(9999, 12, 31) - timedelta(row)), None),
    "first dates": (growing(lambda row: date(1, 1, 1) + timedelta(row)), None),
    "far moments": (growing(lambda row: (LAST, FIRST)[row] if row < 2 else START + timedelta(hours=row)), None),
    "nanoseconds": (growing(lambda row: START + timedelta(hours=row)), pl.Datetime("ns")),
    "UTC": (growing(lambda row: START.replace(tzinfo=UTC) + timedelta(hours=row)), None),
    "times": (growing(lambda row: time(row % 24, row % 60)), None),
    "durations": (growing(lambda row: timedelta(seconds=77 * row)), None),
    "categorical": (repeated("a", "b"), pl.Categorical), "enum": (repeated("a", "b"), pl.Enum(["a", "b", "c"])),
    "bytes": (repeated(b"a", b"\xff"), None), "lists": (repeated([1, 2], [3]), None),
    "structs": (repeated({"a": 1}, {"a": 2}), None),
    "constant": (repeated(3), None), "two numbers": (repeated(7.5, 9.0), None), "nothing": (repeated(None), None),
    "no number": (repeated(None), pl.Float64),
    "one number": (growing(lambda row: 5.0 if row == 0 else None), None),
    "numbered": (growing(lambda row: f"id-{row:05d}"), None),
    "words": (growing(lambda row: f"word{row} other {row * 7 % 13} thing"), None),
}  # fmt: skip

NAMES = ["", " ", "  x ", "a\0b", "a\nb", "\u202e", "\x85", "1e5", "on", "null", "~", "012", "2024-01-01", "=1",
"@a", "'q", '"q"',
         "a,b", "[k]", "*", "^a.*$", "${HOME}", "%s", ":x", "A", "a", "ä", "a\u0308", "x" * 5000, "reasons", "row",
         "index", "select",
         "😀", "\ue000", ".", "a/b", "key: v", "- d", "#", "!t", "&a", "|", "b as a number", "snapshot",
         "c0"]  # fmt: skip


def column_of(kind: str, rows: int) -> pl.Series:
    make, dtype = CELLS[kind]
    return pl.Series(kind, make(rows), dtype=dtype, strict=dtype != pl.Float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def accepted(frame: pl.DataFrame, folder: Path, label: str | None = None) -> None:
    """Drafts a job from the rows and lets its first two steps have them."""
    frame.write_parquet(folder / "t.parquet")
    started = initialise(str(folder / "t.parquet"), label=label, out=folder / "t.yaml", force=True)
    config = load_config(started.config)
    validation = check_contract.fn(ingest.fn(config), config)
    assert validation.quarantined == 0
    assert ("Only" in started.config.read_text()) == (frame.height < FEWEST_ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 2, 5, MOST])
def test_all_kinds_of_cells_at_once(rows: int, folder: Path) -> None:
    accepted(pl.DataFrame([column_of(kind, rows) for kind in CELLS]), folder)


@pytest.mark.slow
def test_all_kinds_of_names_at_once(folder: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {
        name: rng.normal(size=MOST) if number % 2 else rng.choice(["u", "w=1", "-z"], MOST)
        for number, name in enumerate(NAMES)
    }
    accepted(pl.DataFrame(columns), folder, label="[k]")


@pytest.mark.slow
def test_copies_of_rows(folder: Path) -> None:
    accepted(pl.concat([pl.DataFrame([column_of(kind, 3) for kind in CELLS])] * 7), folder)


@st.composite
def tables(draw: st.DrawFn) -> tuple[pl.DataFrame, str | None]:
    rows = draw(st.integers(1, MOST))
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=8))
    names = draw(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
            min_size=len(kinds),
            max_size=len(kinds),
            unique=True,
        )
    )
    gaps = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    columns = [column_of(kind, rows).alias(name) for kind, name in zip(kinds, names, strict=True)]
    frame = pl.DataFrame(columns).with_columns(pl.when(pl.Series(gaps)).then(None).otherwise(pl.nth(0)).name.keep())
    return frame, draw(st.none() | st.sampled_from(frame.columns))  # Polars names a column without a name


@contextmanager
def in_a_folder() -> Iterator[Path]:
    before = Path.cwd()
    with TemporaryDirectory() as place:
        os.chdir(place)
        try:
            yield Path(place)
        finally:
            os.chdir(before)


@pytest.mark.slow
@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(tables())
def test_any_table_that_init_reads(table: tuple[pl.DataFrame, str | None]) -> None:
    frame, label = table
    with in_a_folder() as folder:
        accepted(frame, folder, label)
