"""Encodes cells as numbers with statistics and vocabularies of the training rows, lazily in Polars.

The fitted state is plain data (pydantic models) and is stored with the model as JSON.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Self

import polars as pl

from varjepa.config.base import Facts
from varjepa.data.cells import by_name, in_common_types
from varjepa.data.encode.derived import DatePart, TextEmbedding, with_date_parts, with_text
from varjepa.data.encode.features import CategoricalFeature, Label, NumericFeature
from varjepa.data.encode.one_hot import OneHotFeature
from varjepa.data.read.named_columns import require_present
from varjepa.data.tensors.sizes import N_RESERVED, TableSizes

NEAR_UNIQUE = 0.5
"""A categorical column of which a larger share of the cells holds rare categories consists of values of single rows."""

CLOCK = "the parts follow it (data.split), so later rows lie beyond all of its values"
"""Why the column of a split by time is no feature."""


class Preprocessor(Facts):
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
    derived: tuple[DatePart | TextEmbedding, ...] = ()
    """Columns that are made from others before the cells are encoded."""
    rare: dict[str, float] = {}
    """Categorical columns with rare categories, and the share of their training cells, missing ones left out, that hold
    one. All of them share a code."""
    scarce: tuple[str, ...] = ()
    """Categorical columns whose known categories occur in very few training rows each."""
    clocks: tuple[NumericFeature, ...] = ()
    """Dates of which only parts are features, because all later rows lie beyond the moments of training."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `model_dump_json` wrote into a file."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))

    @property
    def names(self) -> list[str]:
        """Feature names in the model's order."""
        return [*(feature.name for feature in self.numeric), *(feature.name for feature in self.categorical)]

    @property
    def sources(self) -> dict[str, str]:
        """Features that are made from a derived column, with the column of the table behind it."""
        return {name: derived.source for derived in self.derived for name in derived.names}

    @property
    def timed(self) -> set[str]:
        """Features that tell when a row was made: the parts of `clocks`."""
        clocks = {clock.name for clock in self.clocks}
        return {name for name, source in self.sources.items() if source in clocks}

    @property
    def embedded(self) -> set[str]:
        """Features that are dimensions of an embedding of text."""
        return {name for made in self.derived if isinstance(made, TextEmbedding) for name in made.names}

    @property
    def own(self) -> list[bool]:
        """Whether each feature, in the model's order, is a column of the table (or several) rather than derived."""
        derived = self.sources
        return [name not in derived for name in self.names]

    @property
    def withheld(self) -> set[str]:
        """Columns that new rows do not have: what little is known of their values belongs to single rows.

        A sample would hold these real values, and hold them far too often, as all others have no name.
        """
        rare = {name for name, share in self.rare.items() if share > NEAR_UNIQUE}
        return (rare | set(self.scarce)) & set(self.order)

    @property
    def drawn(self) -> tuple[str, ...]:
        """Columns that new rows have, in the order of the table."""
        withheld = self.withheld
        return tuple(name for name in self.order if name not in withheld)

    @property
    def undrawn(self) -> dict[str, str]:
        """Columns of the table of training that new rows do not have -> why."""
        label = {} if self.label is None else {self.label.name: "the label is not learned"}
        clocks = {clock.name: CLOCK for clock in self.clocks}
        text = {name: "it is text" for name in self.columns if name not in self.order and name not in clocks}
        single = {name: "its values belong to single rows" for name in self.order if name in self.withheld}
        return text | clocks | single | self.left_out | label

    @property
    def columns(self) -> list[str]:
        """Columns of the table that the features are made from, each once."""
        sources = self.sources
        features = (*self.numeric, *self.categorical)
        return list(dict.fromkeys(sources.get(name, name) for feature in features for name in feature.columns))

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of each of `columns`; text where a column has no other feature than its embedding."""
        sources = self.sources
        own = (each for each in (*self.numeric, *self.categorical, *self.clocks) if each.name not in sources)
        kinds = {name: str(feature.kind) for feature in own for name in feature.columns}
        return {name: kinds.get(name, "text") for name in self.columns}

    @property
    def text(self) -> list[str]:
        """Columns that were learned as text, also the label."""
        label = [] if self.label is None else [self.label]
        learned = [*self.numeric, *self.categorical, *self.clocks, *label]
        embedded = [made.source for made in self.derived if isinstance(made, TextEmbedding)]
        return embedded + [feature.name for feature in learned if getattr(feature, "dtype", "") == "String"]

    @property
    def joined(self) -> dict[str, tuple[str, ...]]:
        """Features that are made from several columns, with those columns."""
        return {feature.name: feature.columns for feature in self.categorical if len(feature.columns) > 1}

    @property
    def sizes(self) -> TableSizes:
        """Sizes that the model is built for."""
        cardinalities = [len(feature.vocabulary) + N_RESERVED for feature in self.categorical]
        return TableSizes(len(self.numeric), cardinalities, [feature.bins for feature in self.numeric])

    def encode(self, frame: pl.LazyFrame, keep: Sequence[str] = (), *, with_label: bool = False) -> pl.LazyFrame:
        """Encodes rows lazily, in their order.

        Args:
            frame: columns in any order; those that are not features are ignored.
            keep: columns that are copied unchanged, in front.
            with_label: whether to append `LABEL`.

        Raises:
            DataError: a column of a feature is missing, or a numeric column holds text.
        """
        label = self.label if with_label else None
        if label is not None:
            require_present([label.name], frame.collect_schema().names())
        derived = self.derive(frame)
        schema = derived.collect_schema()
        own = [] if label is None else [label.encode(schema)]
        return derived.select(*by_name(keep), *self.expressions(schema), *own)

    def expressions(self, schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
        """One expression per feature, in the model's order, that encodes it.

        Args:
            schema: of the table with the derived columns.
        """
        return [feature.encode(schema) for feature in (*self.numeric, *self.categorical)]

    def without_derived(self, others: Collection[str] = ()) -> Self:
        """Only the features that are columns of the table, for tables that lack the text.

        Args:
            others: features that are left out, too.
        """
        away = {*self.sources, *others}
        numeric, categorical = (
            tuple(feature for feature in features if feature.name not in away)
            for features in (self.numeric, self.categorical)
        )
        return self.model_copy(update={"numeric": numeric, "categorical": categorical, "derived": (), "clocks": ()})

    def derive(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The frame with the derived columns, which features then read like columns of the table.

        Raises:
            DataError: a column of a feature is missing.
        """
        frame = in_common_types(frame)
        require_present(self.columns, frame.collect_schema().names())
        dates = {feature.name: feature for feature in (*self.numeric, *self.clocks) if feature.kind == "date"}
        frame = with_date_parts(frame, [made for made in self.derived if isinstance(made, DatePart)], dates)
        for made in self.derived:
            if isinstance(made, TextEmbedding):
                frame = with_text(frame, made)
        return frame
