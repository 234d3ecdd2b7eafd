"""Clusters of raw rows: rows that belong together and are not independent of each other."""

import numpy as np
import polars as pl

from varjepa.config import SplitSection
from varjepa.data.read.row_hash import Hashes
from varjepa.data.read.splits import split_hashes


def row_clusters(frame: pl.DataFrame, split: SplitSection) -> Hashes | None:
    """The cluster of every row, as in the column `CLUSTER` of the encoded rows.

    Args:
        frame: raw rows, with any other columns.
        split: of the model that the rows are for.

    Returns:
        uint64 [N]; None if the split knows of no clusters.
    """
    if split.by != "hash":
        return None
    return np.concatenate([np.zeros(0, dtype=np.uint64), *split_hashes(frame.lazy(), split)])


def known_clusters(frame: pl.DataFrame, split: SplitSection) -> Hashes | None:
    """The same for rows that may lack columns; None also where they lack those that say which rows belong together.

    What is left of the columns would join rows that have nothing to do with each other, such as all rows of a class.
    """
    columns = split.columns if isinstance(split.columns, tuple) else ()
    needed = [split.column] if split.column is not None else columns
    return row_clusters(frame, split) if set(needed) <= set(frame.columns) else None
