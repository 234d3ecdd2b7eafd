"""Several 0/1 columns that one-hot encode a category (as `get_dummies` does), joined into one feature."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import polars as pl

from varjepa.config.base import Facts
from varjepa.data.cells import flag
from varjepa.data.tensors.sizes import MISSING, N_RESERVED, OTHER


class OneHotFeature(Facts):
    """A category in several 0/1 columns: code 0 missing, 1 other, then `vocabulary` in its order.

    A row with none of the known columns set, or with several, gets the code "other": its category is unknown.
    """

    name: str
    kind: Literal["one_hot"] = "one_hot"
    columns: tuple[str, ...]
    vocabulary: tuple[str, ...]
    """Those of `columns` that are set often enough to get their own code."""

    def encode(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """UInt32 expression of codes."""
        flags = {name: flag(name, schema[name]) for name in self.columns}
        count = pl.sum_horizontal(flags.values(), ignore_nulls=True)
        code = pl.lit(OTHER)
        for number, name in enumerate(self.vocabulary, start=N_RESERVED):
            code = pl.when(flags[name] == 1).then(number).otherwise(code)
        # No column is set, but some are missing: one of those may be the set one.
        unknown = pl.any_horizontal(column.is_null() for column in flags.values())
        code = pl.when(count > 1).then(OTHER).when((count == 0) & unknown).then(MISSING).otherwise(code)
        return code.cast(pl.UInt32).alias(self.name)

    def decode(self, codes: np.ndarray, schema: Mapping[str, pl.DataType]) -> list[pl.Series]:
        """The columns from codes [N] of known categories; other codes set none of them."""
        names = dict(enumerate(self.vocabulary, start=N_RESERVED))
        chosen = [names.get(code, "") for code in codes.tolist()]
        return [
            pl.Series([word == name for word in chosen]).cast(schema.get(name) or pl.UInt8()).alias(name)
            for name in self.columns
        ]
