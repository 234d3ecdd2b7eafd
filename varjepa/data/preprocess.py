"""From cells to numbers: statistics and vocabularies of the training rows, applied lazily in Polars.

The fitted state is plain data (pydantic models) and travels with the model as JSON.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from varjepa.config import DataSection, PreprocessSection
from varjepa.config.base import Section
from varjepa.config.data import KIND
from varjepa.data.inspect import ColumnProfile, finite, profile
from varjepa.data.one_hot import Group, OneHotFeature, find_groups, group_name
from varjepa.data.quantiles import interpolation, normal_scores
from varjepa.data.table import MISSING, N_RESERVED, OTHER, TableSizes
from varjepa.errors import DataError, nearest

LABEL = "__label__"
"""Column of the encoded label: class number, or the number itself; null where unknown."""

SKEWED = 1.0
"""auto: columns whose absolute skewness exceeds this are quantile-transformed."""

HEAVY_TAILED = 6.0
"""auto: so are columns with a training value further than this many deviations from the mean."""

KNOT_ROWS = 1_000_000
"""Quantiles come from at most this many training rows, evenly spaced; more than these are read as a stream."""

GLANCE_ROWS = 100_000
"""Of tables read as a stream so many rows, evenly spaced, tell the kinds of most columns."""

COLUMNS_AT_ONCE = 16
"""Columns whose statistics are gathered in one pass."""

MOST_DECIMALS = 6
"""Numbers with up to this many decimals are imputed and drawn with as many."""

CLASSES_OF_NUMBERS = 20
"""auto: a label of whole numbers with at most this many values is a class."""


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
    """Decimals of the training values, 0 for whole numbers; None where they have more than `MOST_DECIMALS`."""
    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()

    def encode(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """Float32 expression, null where missing."""
        column = _as_number(self.name, self.kind, schema[self.name])
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
        column = _as_number(self.name, self.kind, schema[self.name])
        beyond = pl.max_horizontal(column - self.largest, self.smallest - column, 0.0) / self.std
        return beyond.fill_null(0.0).cast(pl.Float32).alias(self.name)


class CategoricalFeature(SingleColumn):
    """A categorical or boolean column: code 0 missing, 1 other, then the vocabulary in its order."""

    kind: Literal["categorical", "boolean"]
    vocabulary: tuple[str, ...]

    def encode(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """UInt32 expression of codes."""
        column = as_text(self.name, schema[self.name])
        if self.dtype == "Boolean" and schema[self.name] == pl.String:  # as files and requests may hold them
            column = column.str.strip_chars().str.to_lowercase().replace({"true": "1", "false": "0"})
        known = column.cast(pl.Enum(self.vocabulary), strict=False).to_physical().cast(pl.UInt32) + N_RESERVED
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
            column = _as_number(self.name, "numeric", dtype)
        else:
            column = as_text(self.name, dtype).cast(pl.Enum(self.classes), strict=False).to_physical()
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


def _as_number(name: str, kind: str, dtype: pl.DataType) -> pl.Expr:
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


def fit(frame: pl.LazyFrame, data: DataSection, preprocess: PreprocessSection) -> Preprocessor:
    """Learns how to encode from training rows.

    Args:
        frame: the training rows, label included, no other columns than those of the data.
        data: label, dropped columns and declared kinds.
        preprocess: how to transform.

    Raises:
        DataError: the label cannot be predicted, text stands in a numeric column, or no feature is left.
    """
    schema = frame.collect_schema()
    split_column = [str(data.split.column)] if data.split.by == "column" else []
    away = {*data.drop, *split_column, *([data.label] if data.label else [])}
    rows = int(frame.select(pl.len()).collect().item())
    profiles = _profiles(frame.select(name for name in schema if name not in away), dict(data.kinds), rows)
    used = {name: facts for name, facts in profiles.items() if not facts.left_out}
    if not used:
        raise DataError("No feature is left to learn from.", expected="Expected at least one column that varies.")
    groups = find_groups(frame, list(used.values()), data.kinds) if preprocess.one_hot == "join" else []
    numbers = [facts for facts in used.values() if facts.kind in ("numeric", "date")]
    return Preprocessor(
        numeric=tuple(_fit_numbers(frame, numbers, preprocess, rows)),
        categorical=tuple(_fit_categories(frame, used, groups, preprocess)),
        order=tuple(used),
        label=_fit_label(frame, data, rows),
        left_out={name: facts.left_out for name, facts in profiles.items() if facts.left_out},
    )


def _profiles(frame: pl.LazyFrame, declared: dict[str, KIND], rows: int, enough: int = 2) -> dict[str, ColumnProfile]:
    """Profiles of all columns; of many rows those of a sample where more rows could not change the kind.

    To count the values of a column of many different numbers takes more memory than to train on it.

    Args:
        frame: rows to look at.
        declared: kinds that a person gave.
        rows: their number.
        enough: more different values than these are as good as any number of them.
    """
    if rows <= KNOT_ROWS:
        return profile(frame, declared)
    schema = frame.collect_schema()
    glanced = [name for name, dtype in schema.items() if dtype.is_numeric() or dtype in (pl.Date, pl.Datetime)]
    sample = frame.select(glanced).gather_every(rows // GLANCE_ROWS).collect(engine="streaming")
    settled = {
        name: facts
        for name, facts in profile(sample.lazy(), declared).items()
        # One value twice, or a fraction: no identifier.
        if facts.distinct > enough and (facts.distinct < facts.rows - facts.missing or not facts.whole)
    }
    with pl.Config(engine_affinity="streaming"):
        return {name: settled.get(name) or profile(frame.select(name), declared)[name] for name in schema}


def _fit_numbers(
    frame: pl.LazyFrame, columns: Sequence[ColumnProfile], preprocess: PreprocessSection, rows: int
) -> Iterator[NumericFeature]:
    for start in range(0, len(columns), COLUMNS_AT_ONCE):
        together = columns[start : start + COLUMNS_AT_ONCE]
        moments = _moments(frame, together, rows)
        chosen = [preprocess.numeric if preprocess.numeric != "auto" else _transform(of) for of in moments]
        skewed = [facts for facts, transform in zip(together, chosen, strict=True) if transform == "quantile"]
        numbers = [_as_number(facts.name, _kind(facts), facts.dtype).alias(facts.name) for facts in skewed]
        sample = frame.select(numbers).gather_every(max(1, rows // KNOT_ROWS)).collect(engine=_engine(rows))
        for facts, of, transform in zip(together, moments, chosen, strict=True):
            knots: tuple[float, ...] = ()
            scores: tuple[float, ...] = ()
            if transform == "quantile":
                knots, scores = normal_scores(sample[facts.name].drop_nulls().to_numpy(), preprocess.n_quantiles)
            scale = 1e-12 * max(abs(of["min"]), abs(of["max"]))
            yield NumericFeature(
                name=facts.name, dtype=str(facts.dtype), kind=_kind(facts), transform=transform, mean=of["mean"],
                std=of["std"] or 1.0, clip=preprocess.clip, smallest=of["min"], largest=of["max"],
                decimals=next((d for d in range(MOST_DECIMALS + 1) if of[f"beyond {d}"] <= scale), None), knots=knots,
                scores=scores,
            )  # fmt: skip


def _moments(frame: pl.LazyFrame, columns: Sequence[ColumnProfile], rows: int) -> list[dict[str, Any]]:
    """Statistics of numeric columns, gathered in one pass over the rows."""
    parts = []
    for number, facts in enumerate(columns):
        column = _as_number(facts.name, _kind(facts), facts.dtype)
        statistics = {
            "mean": column.mean(), "std": column.std(ddof=0), "skew": column.skew(), "min": column.min(),
            "max": column.max(),
        } | {f"beyond {d}": (column.round(d) - column).abs().max() for d in range(MOST_DECIMALS + 1)}  # fmt: skip
        parts.append(pl.struct(value.alias(name) for name, value in statistics.items()).alias(str(number)))
    try:
        return list(frame.select(parts).collect(engine=_engine(rows)).row(0))
    except pl.exceptions.InvalidOperationError:
        if len(columns) > 1:
            # Alone, the column at fault can be named.
            return [_moments(frame, [facts], rows)[0] for facts in columns]
        facts = columns[0]
        raise DataError(f'The column "{facts.name}" holds text.', expected=f"Expected a {facts.kind} column.") from None


def _transform(moments: Mapping[str, Any]) -> Literal["standard", "quantile"]:
    mean, std = moments["mean"], moments["std"] or 1.0
    furthest = max(mean - moments["min"], moments["max"] - mean) / std
    return "quantile" if abs(moments["skew"] or 0) > SKEWED or furthest > HEAVY_TAILED else "standard"


def _kind(facts: ColumnProfile) -> Literal["numeric", "date"]:
    return "date" if facts.kind == "date" else "numeric"


def _engine(rows: int) -> Literal["auto", "streaming"]:
    # Streams add up in any order, which shows in the last digit; where memory is no matter, results repeat exactly.
    return "streaming" if rows > KNOT_ROWS else "auto"


def _fit_categories(
    frame: pl.LazyFrame, used: Mapping[str, ColumnProfile], groups: Sequence[Group], preprocess: PreprocessSection
) -> Iterator[CategoricalFeature | OneHotFeature]:
    """Categorical features in the order of their (first) columns."""
    first = {group.columns[0]: group for group in groups}
    others = {name for group in groups for name in group.columns[1:]}
    taken = set(used)
    for name, facts in used.items():
        if name in first:
            joined = group_name(first[name].columns, taken)
            taken.add(joined)
            yield _fit_one_hot(joined, first[name], preprocess)
        elif name not in others and facts.kind not in ("numeric", "date"):
            yield _fit_categorical(frame, facts, preprocess)


def _fit_one_hot(name: str, group: Group, preprocess: PreprocessSection) -> OneHotFeature:
    by_count = sorted(zip(group.columns, group.counts, strict=True), key=lambda column: -column[1])
    frequent = [column for column, count in by_count if count >= preprocess.min_count]
    vocabulary = tuple(frequent[: preprocess.max_categories] or [by_count[0][0]])
    return OneHotFeature(name=name, columns=group.columns, vocabulary=vocabulary)


def _fit_categorical(frame: pl.LazyFrame, facts: ColumnProfile, preprocess: PreprocessSection) -> CategoricalFeature:
    text = as_text(facts.name, facts.dtype).alias("value")
    counts = (
        frame.select(text)
        .drop_nulls()
        .group_by("value")
        .len()
        .collect(engine="streaming")
        .sort(["len", "value"], descending=[True, False])
    )
    # A boolean keeps both of its values however rare one is.
    fewest = 1 if facts.kind == "boolean" else preprocess.min_count
    frequent = counts.filter(pl.col("len") >= fewest)["value"].head(preprocess.max_categories).to_list()
    kind: Literal["categorical", "boolean"] = "boolean" if facts.kind == "boolean" else "categorical"
    return CategoricalFeature(
        name=facts.name, dtype=str(facts.dtype), kind=kind, vocabulary=tuple(frequent or counts["value"].head(1))
    )


def _fit_label(frame: pl.LazyFrame, data: DataSection, rows: int) -> Label | None:
    if data.label is None or data.task == "none":
        return None
    facts = _profiles(frame.select(data.label), {data.label: "categorical"}, rows, CLASSES_OF_NUMBERS)[data.label]
    if facts.distinct < 2:
        raise DataError(
            f'The label "{data.label}" has {facts.distinct} different value(s) in the training rows.',
            expected="Expected at least 2.",
            fix="Leave out data.label to learn without one.",
        )
    few = facts.whole and facts.distinct <= CLASSES_OF_NUMBERS
    task = data.task
    if task == "auto":
        task = "regression" if facts.dtype.is_numeric() and not few else "classification"
    if task == "regression":
        return Label(name=data.label, dtype=str(facts.dtype), task="regression")
    text = as_text(data.label, facts.dtype).alias("value")
    classes = frame.select(text).drop_nulls().unique().collect(engine="streaming").to_series().to_list()
    by_number = facts.dtype.is_numeric()
    return Label(
        name=data.label, dtype=str(facts.dtype), task="classification",
        classes=tuple(sorted(classes, key=lambda c: (float(c), c) if by_number else (0.0, c))),
    )  # fmt: skip
