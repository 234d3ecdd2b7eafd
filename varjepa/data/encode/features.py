"""Features and the label: each encodes its column as numbers, and decodes it."""

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import Field

from varjepa.config.base import Facts
from varjepa.config.data import ColumnSection
from varjepa.data.cells import as_words, named_type, positions, without_gaps
from varjepa.data.encode.interpolation import interpolation
from varjepa.data.spelling.learned import learned_cells, learned_number
from varjepa.data.tensors.sizes import MISSING, N_RESERVED, OTHER
from varjepa.errors import DataError

LABEL = "__label__"
"""Column of the encoded label: a class number (see `Label.encode`), or the value itself; null where it is missing."""

PRECISION = 5
"""Digits that numbers keep beyond the size of their standard deviation, if the column has too many to be counted."""

FURTHEST = 1e30
"""Distance beyond which numbers are equally far: of larger ones sums would not be finite in 32 bits."""

MOST_DIGITS = 15
"""Numbers of 64 bits cannot be rounded to more."""


def _ends(dtype: pl.DataType) -> tuple[float, float]:
    """The least and the largest float that a type of whole numbers holds."""
    ends = pl.select(least=dtype.min(), largest=dtype.max())  # type: ignore[attr-defined] # whole numbers have ends
    least, largest = map(float, ends.row(0))
    return least, largest if largest < 2**53 else math.nextafter(largest, 0.0)


class SingleColumn(Facts):
    """A feature or label from one column. It has the name and type of that column."""

    name: str
    dtype: str
    spelling: ColumnSection | None = None
    """How its text is read; None for the spelling that every program reads."""
    gaps: tuple[str, ...] = ()
    """Words that mean a missing cell of text as they are written, whatever format the rows come in; of numbers none,
    whose readers have gap words of their own."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that it is made from; here one."""
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
    """Decimals of the training values, 0 for whole numbers; None if they have more than six."""
    day_parts: int | None = None
    """Of a date column: parts of a day that its values are multiples of, 24 for hours; None if finer than seconds."""
    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    bins: tuple[float, ...] = ()
    """Ends of bins of encoded values, rising; none in a column without spikes."""

    def number(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """Float64 expression of the column before encoding, null where missing; dates as days since 1970."""
        return learned_number(self.name, self.kind, schema[self.name], self.spelling).alias(self.name)

    def encode(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """Float32 expression, null where missing."""
        return self.encoded(self.number(schema)).alias(self.name)

    def encoded(self, column: pl.Expr) -> pl.Expr:
        """Float32 expression of numbers as `number` gives them."""
        if self.transform == "quantile":
            knots, scores = self.knots, self.scores

            def interpolate(values: pl.Series) -> pl.Series:
                return pl.Series(values.name, interpolation(knots, scores)(values.to_numpy()), nan_to_null=True)

            column = column.map_batches(interpolate, return_dtype=pl.Float64, is_elementwise=True)
        else:
            column = ((column - self.mean) / self.std).clip(-self.clip, self.clip)
        return column.cast(pl.Float32)

    @property
    def ends(self) -> tuple[float, float]:
        """The encoded values of the smallest and the largest training value."""
        if self.transform == "quantile":
            return self.scores[0], self.scores[-1]
        low, high = (np.clip((end - self.mean) / self.std, -self.clip, self.clip)
                     for end in (self.smallest, self.largest))  # fmt: skip
        return float(low), float(high)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Numbers of the column (dates: days since 1970) from encoded numbers, float64 of the same shape."""
        if self.transform == "quantile":
            return np.interp(values, self.scores, self.knots)
        return np.clip(values * self.std + self.mean, self.smallest, self.largest)

    def rounded(self, numbers: np.ndarray) -> np.ndarray:
        """Decoded numbers with the decimals of the column, or those that survive the encoding where it has many.

        Dates are full days, hours, minutes or seconds, as those of the column are.
        """
        if self.day_parts is not None:
            return (numbers * self.day_parts).round() / self.day_parts
        digits = self.decimals
        if digits is None:
            # Encoded values are floats of 32 bits, in units of the standard deviation: 7 comes back as 6.999998.
            digits = PRECISION - math.floor(math.log10(self.std))
        return numbers.round(digits) if abs(digits) <= MOST_DIGITS else numbers

    @property
    def bound_type(self) -> pl.DataType:
        """Type of the ends of intervals."""
        if self.kind == "date":
            return pl.Date() if self.dtype == "Date" else pl.Datetime("us")
        return pl.Float64()

    def column(self, numbers: np.ndarray, dtype: pl.DataType | None = None) -> pl.Series:
        """Decoded numbers [N] in the type of the column, NaN as null; `dtype` is that of the current table.

        Raises:
            DataError: a column of this type cannot hold them.
        """
        target = dtype or named_type(self.dtype)
        try:
            if target in (pl.Categorical, pl.Enum):  # an enumeration may lack the number
                text = self._column(numbers, pl.String()).alias(self.name)
                return text.cast(target) if target == pl.Categorical else text
            return self._column(numbers, target).alias(self.name)
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f'The column "{self.name}" is of type {target}, which cannot hold what the model writes into it.',
                fix=f"Give it the type of training, {self.dtype}.",
            ) from error

    def _column(self, numbers: np.ndarray, target: pl.DataType) -> pl.Series:
        series = pl.Series("", self.rounded(numbers), nan_to_null=True)
        if self.kind == "date" and not target.is_numeric():
            # Days to microseconds, the unit of Datetime.
            moment = (series * 86_400e6).round().cast(pl.Int64).cast(pl.Datetime("us"))
            day = target == pl.String and named_type(self.dtype) == pl.Date
            if target == pl.String and not day:
                return moment.dt.to_string("%Y-%m-%d %H:%M:%S%.f")  # without zeros for the fraction of a second
            return (moment.cast(pl.Date) if day else moment).cast(target)
        if target.is_integer():  # of fewer bits than in training: the nearest number that the column can hold
            series = series.round().clip(*_ends(target))
        if target == pl.String and self.decimals == 0:  # 24 and not 24.0, as far as whole numbers go
            whole = series.cast(pl.Int64, strict=False)
            series = whole if whole.null_count() == series.null_count() else series
        return series.cast(target)

    def outside(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """Float32 expression: distance from the range of the training rows, in standard deviations; 0 inside of it.

        At most `FURTHEST`.
        """
        column = self.number(schema)
        beyond = pl.max_horizontal(column - self.largest, self.smallest - column, 0.0) / self.std
        beyond = pl.min_horizontal(beyond, FURTHEST)
        return beyond.fill_null(0.0).cast(pl.Float32).alias(self.name)


class CategoricalFeature(SingleColumn):
    """A categorical or boolean column: code 0 missing, 1 other, then the vocabulary in its order."""

    kind: Literal["categorical", "boolean"]
    vocabulary: tuple[str, ...]

    def encode(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """UInt32 expression of codes."""
        dtype = schema[self.name]
        column = self.cells(dtype)
        codes = positions(column, dtype, self.vocabulary).cast(pl.UInt32) + N_RESERVED
        # A cell that is present but not in the vocabulary has no position: its code is null until here.
        return (
            pl.when(column.is_null()).then(MISSING).otherwise(codes.fill_null(OTHER)).cast(pl.UInt32).alias(self.name)
        )

    def cells(self, dtype: pl.DataType) -> pl.Expr:
        """The cells as the vocabulary is written; Boolean where they are so now."""
        cells = learned_cells(self.name, self.dtype, dtype, self.vocabulary, self.spelling)
        if dtype != pl.String:
            return cells
        # Of text, what the opened table takes for missing: blank cells and the gap words of the column.
        return without_gaps(cells, self.spelling.gaps if self.spelling else (), known=self.vocabulary, exact=self.gaps)

    def words(self, dtype: pl.DataType) -> pl.Expr:
        """The same as text whatever the type."""
        return as_words(self.name, self.vocabulary) if dtype == pl.Boolean else self.cells(dtype)

    def decode(self, codes: np.ndarray, schema: Mapping[str, pl.DataType]) -> list[pl.Series]:
        """The column from codes [N] of known categories; other codes become null.

        Of a type in `schema` that does not hold all of the categories it is text.
        """
        words = pl.Series([None] * N_RESERVED + list(self.vocabulary), dtype=pl.String)
        text = words.gather(codes)
        target = schema.get(self.name) or named_type(self.dtype)
        if target == pl.Boolean:
            return [(text == "1").alias(self.name)]
        return [(text.cast(target) if self._fits(target) else text).alias(self.name)]

    def _fits(self, target: pl.DataType) -> bool:
        """Whether a type holds all categories."""
        try:
            return not pl.Series(self.vocabulary, dtype=pl.String).cast(target, strict=False).null_count()
        except pl.exceptions.PolarsError:  # from text to dates there is no cast at all
            return False


class Label(SingleColumn):
    """The column to predict: `classes` in order; empty for regression."""

    task: Literal["classification", "regression"]
    classes: tuple[str, ...] = ()

    def encode(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """Float64 expression `LABEL`: class number or value, null where the cell is missing.

        A class that training has not seen has the number of classes as its number: such a row has a label, and every
        prediction for it is wrong.
        """
        dtype = schema[self.name]
        if self.task == "regression":
            kind = "date" if self.dtype.startswith("Date") else "numeric"
            return learned_number(self.name, kind, dtype, self.spelling).cast(pl.Float64).alias(LABEL)
        column = self._cells(dtype)
        number = positions(column, dtype, self.classes).cast(pl.Float64).fill_null(float(len(self.classes)))
        return pl.when(column.is_not_null()).then(number).alias(LABEL)

    def words(self, dtype: pl.DataType) -> pl.Expr:
        """String expression of the labels as `classes` are written, null where there is none.

        Args:
            dtype: of the column now.
        """
        return as_words(self.name, self.classes) if dtype == pl.Boolean else self._cells(dtype)

    def _cells(self, dtype: pl.DataType) -> pl.Expr:
        # Blank text and gap words are no label, unless they are classes.
        column = learned_cells(self.name, self.dtype, dtype, self.classes, self.spelling)
        return column if dtype != pl.String else without_gaps(column, known=self.classes, exact=self.gaps)

    def can_predict(self, encoded: pl.Expr) -> pl.Expr:
        """Whether encoded labels are values or classes of training, false where they are missing."""
        known = encoded < len(self.classes) if self.classes else pl.lit(value=True)
        return (encoded.is_finite() & known).fill_null(value=False)
