"""Encodes cells as numbers with statistics and vocabularies of the training rows, lazily in Polars.

The fitted state is plain data (pydantic models) and is stored with the model as JSON.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import polars as pl

from varjepa.config.base import Section
from varjepa.data.encode.features import CategoricalFeature, Label, NumericFeature
from varjepa.data.encode.one_hot import OneHotFeature
from varjepa.data.tensors.sizes import N_RESERVED, TableSizes
from varjepa.errors import DataError, nearest


class Preprocessor(Section):
    """Everything learned from the training rows; features are ordered numeric first, then categorical.

    Attributes:
        left_out: columns that are not features, with the reason in words.
    """

    numeric: tuple[NumericFeature, ...]
    categorical: tuple[CategoricalFeature | OneHotFeature, ...]
    order: tuple[str, ...]
    """Columns of the table that features are made from, in the order of the table."""
    label: Label | None
    left_out: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `model_dump_json` wrote into a file."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))

    @property
    def names(self) -> list[str]:
        """Feature names in the model's order."""
        return [*(feature.name for feature in self.numeric), *(feature.name for feature in self.categorical)]

    @property
    def columns(self) -> list[str]:
        """Columns of the table that the features are made from."""
        return [column for feature in (*self.numeric, *self.categorical) for column in feature.columns]

    @property
    def text(self) -> list[str]:
        """Columns that were learned as text, also the label."""
        learned = [*self.numeric, *self.categorical, *([self.label] if self.label is not None else [])]
        return [feature.name for feature in learned if getattr(feature, "dtype", "") == "String"]

    @property
    def joined(self) -> dict[str, tuple[str, ...]]:
        """Features that are made from several columns, with those columns."""
        return {feature.name: feature.columns for feature in self.categorical if len(feature.columns) > 1}

    @property
    def sizes(self) -> TableSizes:
        """Sizes that the model is built for."""
        return TableSizes(len(self.numeric), [len(f.vocabulary) + N_RESERVED for f in self.categorical])

    def encode(self, frame: pl.LazyFrame, keep: Sequence[str] = (), *, with_label: bool = False) -> pl.LazyFrame:
        """Encodes rows lazily, in their order.

        Args:
            frame: columns in any order; those that are not features are ignored.
            keep: columns that are copied unchanged, in front.
            with_label: whether to append `LABEL`.

        Raises:
            DataError: a column of a feature is missing, or a numeric column holds text.
        """
        schema = dict(frame.collect_schema())
        encoders: list[NumericFeature | CategoricalFeature | OneHotFeature | Label] = [*self.numeric, *self.categorical]
        if with_label and self.label is not None:
            encoders.append(self.label)
        for name in (column for encoder in encoders for column in encoder.columns):
            if name not in schema:
                hint = nearest(name, schema) or "Add the column, or check its name."
                raise DataError(f'The column "{name}" is missing.', fix=hint)
        return frame.select(*keep, *(encoder.encode(schema) for encoder in encoders))
