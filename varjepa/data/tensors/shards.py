"""Rows on disk in shards, each a random sample of the table: training reads tables larger than memory from them.

A shuffle buffer that is filled while training keeps neighbouring rows of the file close together. Here every row is
written once, before training, into a shard drawn independently for it. A shard that is read as a whole and permuted
gives batches that cannot be distinguished from uniform draws.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from varjepa.config.base import Facts
from varjepa.data.tensors.table import PackedTable, TableSizes

INDEX = "shards.json"


class Shards(Facts):
    """A table in shards.

    Attributes:
        folder: contains two files per shard, numbers and codes, row by row.
        rows: number of rows of every shard.
        n_numeric: numeric features.
        n_categorical: categorical features.
        code_type: NumPy's name of the type of codes.
    """

    folder: Path
    rows: tuple[int, ...]
    n_numeric: int
    n_categorical: int
    code_type: str

    def read(self, number: int) -> PackedTable:
        """The rows of a shard, in the order of the table."""
        # The files have no header: types and widths come from the index, the shapes are [rows, n_numeric] and
        # [rows, n_categorical].
        numeric, codes = _files(self.folder, number)
        values = np.fromfile(numeric, dtype=np.float32).reshape(self.rows[number], self.n_numeric)
        words = np.fromfile(codes, dtype=self.code_type).reshape(self.rows[number], self.n_categorical)
        return PackedTable(torch.from_numpy(values), torch.from_numpy(words))


def write_shards(chunks: Iterable[PackedTable], folder: Path, *, sizes: TableSizes, count: int, seed: int) -> Shards:
    """Writes every row into one of `count` shards, drawn independently. A complete set of shards is reused.

    Args:
        chunks: all rows, in pieces.
        folder: contains nothing but the shards; other files in it are deleted.
        sizes: of the table.
        count: number of shards.
        seed: of the draws.

    Returns:
        The shards, which `folder` now holds.
    """
    # The index is written last, so a folder with an index is complete.
    index = folder / INDEX
    if index.is_file():
        return Shards.model_validate_json(index.read_bytes())
    folder.mkdir(parents=True, exist_ok=True)
    for incomplete in folder.iterdir():
        incomplete.unlink()
    random, rows = np.random.default_rng(seed), np.zeros(count, dtype=np.int64)
    for chunk in chunks:
        drawn = random.integers(count, size=chunk.n_rows)
        rows += _append(chunk, drawn, folder, count)
    shards = Shards(
        folder=folder.resolve(), rows=tuple(rows.tolist()), n_numeric=sizes.n_numeric,
        n_categorical=len(sizes.cardinalities), code_type=sizes.code_type,
    )  # fmt: skip
    # Renaming is atomic: a killed process leaves no partial index.
    temporary = index.with_suffix(".tmp")
    temporary.write_text(shards.model_dump_json(), encoding="utf-8")
    temporary.replace(index)
    return shards


def _append(chunk: PackedTable, drawn: np.ndarray, folder: Path, count: int) -> np.ndarray:
    """Appends rows to the files of the shards `drawn` [n] for them; returns the rows per shard [count]."""
    # Sorting by shard makes the rows of each shard one slice; a stable sort keeps the order of the table.
    order = np.argsort(drawn, kind="stable")
    ends = np.cumsum(np.bincount(drawn, minlength=count))
    numeric, codes = chunk.numeric.numpy()[order], chunk.codes.numpy()[order]
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        for values, file in zip((numeric, codes), _files(folder, number), strict=True):
            with file.open("ab") as stream:
                stream.write(values[start:end].data)
    return np.diff(ends, prepend=0)


def _files(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"{number:04}.numeric", folder / f"{number:04}.codes"
