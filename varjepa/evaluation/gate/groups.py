"""Classes, named subgroups and clusters of rows."""

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from varjepa.config import SplitSection
from varjepa.data.cells import as_text
from varjepa.data.encode.features import Label
from varjepa.data.read.clusters import row_clusters
from varjepa.evaluation.arrays import Bools, Ints
from varjepa.evaluation.bootstrap import cluster_numbers

FEW_VALUES = 12
"""Numbers and dates with more values than this are cut at their quartiles."""


def truth_of(frame: pl.DataFrame, label: Label) -> pl.Series:
    """The label as the classes are written."""
    return frame.select(label.words(frame.schema[label.name])).to_series()


def row_groups(frame: pl.DataFrame, label: Label | None, subgroups: Sequence[str]) -> dict[str, Bools]:
    """Which rows belong to which class and which subgroup.

    Args:
        frame: raw rows [N].
        label: whose classes are groups; None where there is none.
        subgroups: columns whose values are.

    Returns:
        "COLUMN VALUE" -> [N]; missing values are a group of their own.
    """
    groups: dict[str, Bools] = {}
    if label is not None and label.classes and label.name in frame.columns:
        groups |= _values(label.name, truth_of(frame, label))
    for name in subgroups:
        if name in frame.columns:
            groups |= _values(name, banded(frame[name]))
    return groups


def row_classes(frame: pl.DataFrame, label: Label | None) -> Ints | None:
    """Number of the true class of each row [N]; None without classes."""
    if label is None or not label.classes or label.name not in frame.columns:
        return None
    return truth_of(frame, label).rank("dense").cast(pl.Int64).fill_null(0).to_numpy()


def dependent_rows(frame: pl.DataFrame, split: SplitSection) -> Ints | None:
    """The cluster of each row [N], see `varjepa.data.read.clusters`; None where all rows are independent."""
    return cluster_numbers(row_clusters(frame, split))


def _values(name: str, column: pl.Series) -> dict[str, Bools]:
    words = column.fill_null("missing")
    return {f"{name} {word}": (words == word).to_numpy() for word in words.unique().sort()}


def banded(column: pl.Series) -> pl.Series:
    """Text of each value; many numbers and dates are cut at their quartiles.

    Examples:
        >>> banded(pl.Series("age", range(16))).unique(maintain_order=True).to_list()
        ['up to 3', 'above 3 up to 7', 'above 7 up to 11', 'above 11']
    """
    if not (column.dtype.is_numeric() or column.dtype.is_temporal()) or column.n_unique() <= FEW_VALUES:
        return column.to_frame().select(as_text(column.name, column.dtype)).to_series()
    present = column.fill_nan(None).drop_nulls() if column.dtype.is_float() else column.drop_nulls()
    ordered = present.sort()
    # Quartiles that are values of the column: the bands' names need no rounding, and dates have no means.
    edges = [ordered[(len(ordered) * quarter - 1) // 4] for quarter in (1, 2, 3)]
    names = [f"up to {edges[0]}", *(f"above {low} up to {high}" for low, high in pairwise(edges)), f"above {edges[2]}"]
    # A value's band is the number of edges below it; null stays null.
    band = pl.select(sum((pl.lit(column) > edge).cast(pl.Int8) for edge in edges)).to_series()
    return pl.Series(column.name, [None if number is None else names[number] for number in band], dtype=pl.String)
