"""What a reader says of a file becomes words that name the file, and blame it only where it is damaged."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.data.files.opening import opened
from varjepa.data.files.damage import readable
from varjepa.errors import DataError
from varjepa.tasks.sources.failures import reaching


@pytest.mark.parametrize("guard", [readable, reaching])
def test_a_panic_of_the_reader_is_no_internal_error(guard: Callable[[str], AbstractContextManager[None]]) -> None:
    # As Polars does over a Parquet file with one byte turned (tables of `make fuzz`, seed 1634).
    with pytest.raises(DataError, match=r"people\.parquet cannot be read: left: 80"), guard("people.parquet"):
        raise pl.exceptions.PanicException("left: 80")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pa.table([[1, 2], [3, 4]], names=["a", "a"]), 'duplicate column names: "a"'),
        (pa.table({"a": pa.array([Decimal(10) ** 50], pa.decimal256(60, 2))}), "decimals of more digits"),
    ],
)
def test_a_file_that_is_not_damaged_is_not_called_so(tmp_path: Path, table: pa.Table, words: str) -> None:
    parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match=words) as raised, readable(tmp_path):
        opened(tmp_path / "t.parquet")
    assert "damaged" not in str(raised.value)
