"""Sizes of a table that a model is built for. Does not import torch, so that preprocessing workers start fast."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MISSING, OTHER, N_RESERVED = 0, 1, 2
"""Code of a missing cell, code of a rare or unseen category, number of reserved codes. Known categories follow."""


class TableSizes(NamedTuple):
    """Sizes of a table that a model is built for.

    Attributes:
        n_numeric: numeric features.
        cardinalities: codes per categorical feature, the two reserved ones included.
        bins: per numeric feature the rising ends of its bins, none where it has none; empty if no feature has any.
    """

    n_numeric: int
    cardinalities: Sequence[int]
    bins: Sequence[Sequence[float]] = ()

    @property
    def n_features(self) -> int:
        """Number of features D."""
        return self.n_numeric + len(self.cardinalities)

    @property
    def code_type(self) -> str:
        """NumPy's name of the smallest integer type that can hold every code."""
        largest = max(self.cardinalities, default=1) - 1
        return "uint8" if largest < 2**8 else "int16" if largest < 2**15 else "int32"

    @property
    def packed_bytes(self) -> int:
        """Bytes of a row in a `PackedTable`."""
        return 4 * self.n_numeric + np.dtype(self.code_type).itemsize * len(self.cardinalities)


def rows_within(cells: int, features: int, *, fewest: int, most: int) -> int:
    """Rows that have about so many cells, so that of wide tables fewer are used.

    Args:
        cells: of all rows together.
        features: of a row, at least 1.
        fewest: rows, even if they have more cells.
        most: rows, even if they have fewer; where this is below `fewest`, it wins.

    Examples:
        >>> rows_within(2**22, 14, fewest=500, most=10_000), rows_within(2**22, 1500, fewest=500, most=10_000)
        (10000, 2796)
    """
    return min(most, max(fewest, cells // features))
