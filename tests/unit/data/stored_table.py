"""An encoded table in the worst order, sorted by its label, and its shards."""

from pathlib import Path

import numpy as np
import polars as pl
import torch

from varjepa.config import DataSection, PreprocessSection
from varjepa.data.encode.encoded import packed_chunks
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.sources import ROW
from varjepa.data.tensors.shards import Shards, write_shards
from varjepa.nn.random import Randomness
from varjepa.tasks.retrain.preprocess import divide, learn, write_encoded
from varjepa.training.epoch_rows import ShardedRows

ROWS, COUNT, BATCH = 6000, 7, 64
"""Rows of the table, shards, and rows of a batch."""


def stored_table(folder: Path) -> tuple[Path, Preprocessor]:
    """Writes the table; `place` tells the row, gaps are everywhere."""
    random = np.random.default_rng(0)
    place = np.arange(ROWS, dtype=float)
    gap = pl.Series(random.random(ROWS) < 0.1)
    label = pl.Series(np.where(place < ROWS / 2, "low", "high")).set(pl.Series(random.random(ROWS) < 0.2), None)
    words = pl.Series(np.array([f"w{n}" for n in range(300)])[(place / 20).astype(int)])
    table = pl.DataFrame({ROW: np.arange(ROWS), "place": place / 2, "other": place + random.normal(0, 900, ROWS),
                          "word": words, "label": label})  # fmt: skip
    table = table.with_columns(pl.when(~gap).then("other").alias("other"), pl.when(~gap).then("word").alias("word"))
    table.write_parquet(folder / "clean.parquet")
    data = DataSection(path="t", label="label")
    marked, _ = divide(folder / "clean.parquet", data.split, folder)
    preprocessor = learn(marked, data, PreprocessSection(min_count=2), ())
    write_encoded(marked, preprocessor, folder / "encoded.parquet")
    return folder / "encoded.parquet", preprocessor


def sharded(stored: tuple[Path, Preprocessor], folder: Path) -> Shards:
    path, preprocessor = stored
    return write_shards(
        packed_chunks(path, preprocessor, "train"), folder, sizes=preprocessor.sizes, count=COUNT, seed=1
    )


def places(source: ShardedRows, seed: int, first: int = 0) -> list[torch.Tensor]:
    """Place of the rows of each batch."""
    return [batch.numeric[:, 0] for batch in source.batches(BATCH, Randomness.seeded(seed), first)]
