"""From cells to numbers and back: statistics and vocabularies of the training rows, applied lazily in Polars.

The fitted state is plain data (pydantic models) and travels with the model as JSON.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import Field

from varjepa.config.base import Section
from varjepa.data.inspect import finite
from varjepa.data.one_hot import OneHotFeature
from varjepa.data.quantiles import interpolation
from varjepa.data.sizes import MISSING, N_RESERVED, OTHER, TableSizes
from varjepa.errors import DataError, nearest

LABEL = "__label__"
"""Column of the encoded label: class number, or the number itself; null where unknown."""


class SingleColumn(Section):
    """What is made from one column, whose name and type it bears."""

    name: str
    dtype: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that it is made from."""
        return (self.name,)


class NumericFeature(SingleColumn):
    """A numeric or date column: `clip((value - mean) / std)`, or normal scores between quantile knots."""

    kind: Literal["numeric", "date"]
    transform: Literal["standard", "quantile"]
    mean: float
    std: Annotated[float, Field(gt=0)]
    clip: float
    smallest: float
    largest: float
    decimals: int | None
    """Decimals of the training values, 0 for whole numbers; None where they have many."""
    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()

    def number(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """Float64 expression of the column as it is, null where missing; dates as days since 1970."""
        return as_number(self.name, self.kind, schema[self.name]).alias(self.name)

    def encode(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """Float32 expression, null where missing."""
        column = self.number(schema)
        if self.transform == "quantile":
            knots, scores = self.knots, self.scores

            def interpolate(values: pl.Series) -> pl.Series:
                return pl.Series(values.name, interpolation(knots, scores)(values.to_numpy()), nan_to_null=True)

            column = column.map_batches(interpolate, return_dtype=pl.Float64, is_elementwise=True)
        else:
            column = ((column - self.mean) / self.std).clip(-self.clip, self.clip)
        return column.cast(pl.Float32).alias(self.name)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Numbers of the column (dates: days since 1970) from encoded ones, float64 of one shape."""
        if self.transform == "quantile":
            return np.interp(values, self.scores, self.knots)
        return np.clip(values * self.std + self.mean, self.smallest, self.largest)

    def column(self, numbers: np.ndarray, dtype: pl.DataType | None = None) -> pl.Series:
        """Decoded numbers [N] as the column holds them, NaN as null; `dtype` is that of the table at hand."""
        target = dtype or named_type(self.dtype)
        rounded = numbers if self.decimals is None else numbers.round(self.decimals)
        series = pl.Series(self.name, rounded, nan_to_null=True)
        if self.kind == "date" and not target.is_numeric():
            moment = (series * 86_400e6).round().cast(pl.Int64).cast(pl.Datetime("us"))
            day = target == pl.String and named_type(self.dtype) == pl.Date
            return (moment.cast(pl.Date) if day else moment).cast(target)
        return series.round().cast(target) if target.is_integer() else series.cast(target)

    def outside(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """Float32 expression: deviations by which a value lies beyond the training rows' range; 0 inside of it."""
        column = self.number(schema)
        beyond = pl.max_horizontal(column - self.largest, self.smallest - column, 0.0) / self.std
        return beyond.fill_null(0.0).cast(pl.Float32).alias(self.name)


class CategoricalFeature(SingleColumn):
    """A categorical or boolean column: code 0 missing, 1 other, then the vocabulary in its order."""

    kind: Literal["categorical", "boolean"]
    vocabulary: tuple[str, ...]

    def encode(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """UInt32 expression of codes."""
        dtype = schema[self.name]
        column = _cells(self.name, dtype)
        if self.dtype == "Boolean" and dtype == pl.String:  # as files and requests may hold them
            column = column.str.strip_chars().str.to_lowercase().replace({"true": "1", "false": "0"})
        known = _places(column, dtype, self.vocabulary).cast(pl.UInt32) + N_RESERVED
        return (
            pl.when(column.is_null()).then(MISSING).otherwise(known.fill_null(OTHER)).cast(pl.UInt32).alias(self.name)
        )

    def decode(self, codes: np.ndarray, schema: Mapping[str, pl.DataType]) -> list[pl.Series]:
        """The column from codes [N] of known categories; any other code is null."""
        words = pl.Series(self.name, [None] * N_RESERVED + list(self.vocabulary), dtype=pl.String)
        text = words.gather(codes)
        target = schema.get(self.name) or named_type(self.dtype)
        if target == pl.Boolean:
            return [text == "1"]
        return [text.cast(target, strict=False)]


class Label(SingleColumn):
    """The column to predict: `classes` in order, or none for a number."""

    task: Literal["classification", "regression"]
    classes: tuple[str, ...] = ()

    def encode(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """Float64 expression `LABEL`: class number or value, null where missing or unseen."""
        dtype = schema[self.name]
        if self.task == "regression":
            column = as_number(self.name, "numeric", dtype)
        else:
            column = _places(_cells(self.name, dtype), dtype, self.classes)
        return column.cast(pl.Float64).alias(LABEL)


class Preprocessor(Section):
    """Everything learned from the training rows; features are ordered numeric first, then categorical.

    Attributes:
        left_out: columns that are no features, with the reason in words.
    """

    numeric: tuple[NumericFeature, ...]
    categorical: tuple[CategoricalFeature | OneHotFeature, ...]
    order: tuple[str, ...]
    """Columns of the table that features are made from, in its order."""
    label: Label | None
    left_out: dict[str, str]

    @property
    def names(self) -> list[str]:
        """Feature names in the model's order."""
        return [*(feature.name for feature in self.numeric), *(feature.name for feature in self.categorical)]

    @property
    def columns(self) -> list[str]:
        """Columns of the table that the features are made from."""
        return [column for feature in (*self.numeric, *self.categorical) for column in feature.columns]

    @property
    def joined(self) -> dict[str, tuple[str, ...]]:
        """Features that are made from several columns, and those."""
        return {feature.name: feature.columns for feature in self.categorical if len(feature.columns) > 1}

    @property
    def sizes(self) -> TableSizes:
        """What the model must know of the table."""
        return TableSizes(len(self.numeric), [len(f.vocabulary) + N_RESERVED for f in self.categorical])

    def encode(self, frame: pl.LazyFrame, keep: Sequence[str] = (), *, with_label: bool = False) -> pl.LazyFrame:
        """Encodes rows lazily, in their order.

        Args:
            frame: columns in any order; those that are no features are ignored.
            keep: columns to carry along unchanged, in front.
            with_label: whether to append `LABEL`.

        Raises:
            DataError: a feature is not among the columns, or text stands where numbers were learned.
        """
        schema = dict(frame.collect_schema())
        encoders: list[NumericFeature | CategoricalFeature | OneHotFeature | Label] = [*self.numeric, *self.categorical]
        if with_label and self.label is not None:
            encoders.append(self.label)
        for name in (column for encoder in encoders for column in encoder.columns):
            if name not in schema:
                hint = nearest(name, schema) or "Check the data."
                raise DataError(f'The column "{name}" is missing.', fix=hint)
        return frame.select(*keep, *(encoder.encode(schema) for encoder in encoders))


def named_type(name: str) -> pl.DataType:
    """The Polars type of that name; text where it has parameters that a name does not tell.

    Examples:
        >>> named_type("Int64")
        Int64
    """
    if name.startswith("Datetime"):
        return pl.Datetime("us")
    found = getattr(pl, name, pl.String)
    return found() if isinstance(found, type) else pl.String()


def as_number(name: str, kind: str, dtype: pl.DataType) -> pl.Expr:
    """Float64 expression of a column, null where missing; dates as days since 1970."""
    column = pl.col(name)
    if kind == "date" and dtype == pl.String:
        column, dtype = column.str.to_datetime(strict=True), pl.Datetime("us")
    if dtype in (pl.Date, pl.Datetime):
        return column.cast(pl.Datetime("us")).dt.timestamp("us") / 86_400e6
    if dtype == pl.String:
        return finite(column.str.strip_chars().cast(pl.Float64), pl.Float64())
    if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
        raise DataError(f'The column "{name}" is of type {dtype}.', expected="Expected numbers.")
    return finite(column.cast(pl.Float64), pl.Float64())


def as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    """String expression of a column; whole numbers read the same whether stored as 1, 1.0 or true."""
    column = pl.col(name)
    if dtype.is_float():
        column = finite(column, dtype)
        whole = column == column.round()
        return (
            pl.when(whole).then(column.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(column.cast(pl.String))
        )
    if dtype == pl.Boolean:
        return column.cast(pl.UInt8).cast(pl.String)
    return column.cast(pl.String)


def _cells(name: str, dtype: pl.DataType) -> pl.Expr:
    """The column as it is where it is Boolean, otherwise its text."""
    return pl.col(name) if dtype == pl.Boolean else as_text(name, dtype)


def _places(cells: pl.Expr, dtype: pl.DataType, words: Sequence[str]) -> pl.Expr:
    """Expression: which of the words each of `_cells` is, null where none."""
    if dtype != pl.Boolean:
        return cells.cast(pl.Enum(words), strict=False).to_physical()
    # Booleans need no way through text, which takes sixteen times as long.
    no, yes = (pl.lit(words.index(word) if word in words else None, pl.UInt32) for word in "01")
    return pl.when(cells).then(yes).when(cells.not_()).then(no)
