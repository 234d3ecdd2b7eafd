"""Rows of a database as a Parquet file on this machine, written batch by batch."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from varjepa.errors import DataError, listed
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.reuse import digest

CELLS = 1_000_000
"""Cells of a batch: rows per batch follow from the number of columns."""

CHUNK = 100_000
"""Rows hashed at a time."""


def rows_at_once(columns: int) -> int:
    """Rows of a batch."""
    return max(1000, min(50_000, CELLS // max(columns, 1)))


def require_names(names: Iterable[str], description: str) -> None:
    """Checks that every column of a result has a name of its own.

    Raises:
        DataError: two columns have the same name.
    """
    names = list(names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"The query on {description} returns several columns named {listed(twice)}.",
            expected="Expected every column name once.",
            fix="Name them apart: SELECT a.id AS a_id.",
        )


def note_texts(names: list[str]) -> None:
    """Says which columns have a type that no feature can be made of, and are read as text."""
    if names:
        log.info("%s: types without numbers (such as arrays, JSON or bytes), read as text", listed(names))


def order_digest(path: Path) -> str:
    """Digest of the rows of a Parquet file in their order, for what refers to rows by their number."""
    told = hashlib.sha256()
    for batch in pl.scan_parquet(path).collect_batches(chunk_size=CHUNK, maintain_order=True):
        told.update(batch.hash_rows().to_numpy().tobytes())
    return told.hexdigest()


class StagedRows:
    """Appends Arrow tables of one schema to a Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: Any = None

    def write(self, table: Any) -> None:
        """Appends a table of pyarrow."""
        from pyarrow import parquet

        if self._writer is None:
            self._writer = parquet.ParquetWriter(self.path, table.schema, compression="zstd")
        self._writer.write_table(table)

    def close(self) -> None:
        """Finishes the file."""
        if self._writer is not None:
            self._writer.close()


def rows_digest(path: Path) -> str:
    """Digest of the rows of a Parquet file, whatever their order: a database may return the same rows in any order.

    Returns:
        64 hexadecimal digits. Equal rows, names and types give equal digits.
    """
    frame = pl.scan_parquet(path)
    # Sums of two independent hashes of each row, modulo 2**64, do not depend on the order.
    sums, rows = np.zeros(2, dtype=np.uint64), 0
    for batch in frame.collect_batches(chunk_size=CHUNK):
        if batch.height:
            sums += np.array([batch.hash_rows(seed=seed).to_numpy().sum() for seed in (1, 2)], dtype=np.uint64)
            rows += batch.height
    schema = [(name, str(dtype)) for name, dtype in frame.collect_schema().items()]
    return hashlib.sha256(digest(schema, rows, sums.tolist()).encode()).hexdigest()
