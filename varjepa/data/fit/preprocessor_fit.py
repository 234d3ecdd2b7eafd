"""Fits the preprocessor to the training rows (see `varjepa.data.encode`), in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeGuard, TypeVar

import polars as pl

from varjepa.config import DataSection, PreprocessSection, SplitSection
from varjepa.config.data import KIND
from varjepa.data.encode.features import CategoricalFeature, Label, NumericFeature
from varjepa.data.encode.one_hot import OneHotFeature
from varjepa.data.encode.preprocessor import CLOCK, Preprocessor
from varjepa.data.fit.derived_columns import date_parts, text_embeddings, text_sources
from varjepa.data.fit.label_task import task_of
from varjepa.data.fit.numeric_features import fit_numbers
from varjepa.data.fit.one_hot_groups import Group, find_groups, group_name
from varjepa.data.fit.rows_protocol import (
    CLASSES_OF_NUMBERS,
    TrainingRows,
    Vocabulary,
    Wanted,
)
from varjepa.data.fit.streamed_rows import StreamedRows
from varjepa.data.read.column_profile import ColumnProfile, never_identifies
from varjepa.errors import DataError

REVIEWED = ("categorical", "date", "text", "identifier")
"""Kinds of a contract that the fit obeys as they are. `init` writes numeric for constant columns, too, and boolean for
any two values, so these two say less."""

GLANCE_ROWS = 10_000
"""First rows that may show that a column identifies no rows."""

SCARCE = 3
"""Categories that fewer training rows than this have on average belong to single rows."""

_F = TypeVar("_F", NumericFeature, CategoricalFeature, CategoricalFeature | OneHotFeature, Label)


def fit(
    frame: pl.LazyFrame,
    data: DataSection,
    preprocess: PreprocessSection,
    kinds: Mapping[str, KIND] | None = None,
) -> Preprocessor:
    """Fits a preprocessor to training rows.

    Args:
        frame: the training rows with their label, and no internal columns.
        data: label, dropped columns and declared kinds.
        preprocess: how to transform.
        kinds: of columns, decided on more than the training rows (see `inspect_columns`). None: decided on these rows.

    Raises:
        DataError: the label cannot be predicted, a numeric column holds text, or no feature is left.
    """
    return fit_rows(StreamedRows(frame), data, preprocess, kinds)


class Verdicts(NamedTuple):
    """What all rows of a table decide about its columns, before they are split.

    Training rows alone may mislead: a running number has gaps in them, and a name that repeats may occur once.

    Attributes:
        kinds: of the columns that identify rows, of those that hold text, and of those that a contract knows better.
        contents: columns that make up what a row says, in the order of their names: neither label nor dropped, no
            identifier, not empty.
    """

    kinds: Mapping[str, KIND]
    contents: tuple[str, ...]

    def hashed(self, split: SplitSection) -> SplitSection:
        """The split with the columns that it hashes; as it is if it hashes none or names them.

        Raises:
            DataError: there is nothing to hash.
        """
        if split.by != "hash" or split.columns is not None:
            return split
        if not self.contents:
            raise _no_feature()
        return split.model_copy(update={"columns": self.contents})


def inspect_columns(rows: TrainingRows, data: DataSection, promised: Mapping[str, KIND] | None = None) -> Verdicts:
    """Decides about the columns of a table by all of its rows.

    Args:
        rows: all rows, without internal columns.
        data: label, dropped columns and declared kinds.
        promised: kinds of a data contract, which people have reviewed; `data.kinds` wins.
    """
    names = _candidates(rows, data)
    agreed = {name: kind for name, kind in (promised or {}).items() if name in names and kind in REVIEWED}
    declared = {**agreed, **data.kinds}
    # A few rows settle most columns, so that only the others are read a second time.
    first = rows.head(names, GLANCE_ROWS)
    settled = [name for name in names if name not in declared and never_identifies(first[name])]
    profiles = rows.profiles([name for name in names if name not in settled], declared, {})
    found = {name: facts.kind for name, facts in profiles.items()}
    # A contract that calls a column numeric says that it neither identifies rows nor consists of words.
    numbers = {name for name, kind in (promised or {}).items() if kind == "numeric" and name not in data.kinds}
    found |= {name: "numeric" for name in numbers if found.get(name) in ("identifier", "categorical", "text")}
    contents = [name for name, kind in found.items() if kind not in ("identifier", "empty", "unsupported")]
    kinds: dict[str, KIND] = {name: kind for name, kind in found.items() if kind in ("identifier", "text")}
    kinds |= dict.fromkeys((name for name in numbers if found.get(name) == "numeric"), "numeric")
    return Verdicts({**kinds, **agreed}, tuple(sorted(settled + contents)))


def _candidates(rows: TrainingRows, data: DataSection) -> list[str]:
    """Columns of the table that may be features."""
    # A column that names a row's part, or rows that stay together: the test rows have other customers.
    split_column = [data.split.column] if data.split.by in ("column", "hash") else []
    away = {*data.drop, *split_column, data.label}
    return [name for name in rows.schema if name not in away]


def fit_rows(
    rows: TrainingRows,
    data: DataSection,
    preprocess: PreprocessSection,
    kinds: Mapping[str, KIND] | None = None,
) -> Preprocessor:
    """Fits a preprocessor to training rows from any reader; see `fit`."""
    labels = [data.label] if data.label is not None and data.task != "none" else []
    names = _candidates(rows, data)
    declared: dict[str, KIND] = {**(kinds or {}), **data.kinds, **dict.fromkeys(labels, "categorical")}
    # First pass: the kind of every column. The label is profiled with the features, then taken out.
    profiles = rows.profiles([*names, *labels], declared, dict.fromkeys(labels, CLASSES_OF_NUMBERS))
    targets = [profiles.pop(name) for name in labels]
    if kinds is not None:
        profiles = {name: facts.decided(declared) for name, facts in profiles.items()}
    used = {name: facts for name, facts in profiles.items() if not facts.left_out}
    if not used:
        raise _no_feature()
    clock = used.pop(data.split.clock, None) if data.split.clock else None
    groups = find_groups(rows, list(used.values()), data.kinds) if preprocess.one_hot == "join" else []
    # Further passes: moments and quantiles of numeric columns, vocabularies of categorical columns and of the label.
    numeric = [_spelled(feature, data) for feature in fit_numbers(rows, list(used.values()), preprocess)]
    words, label = _categories(used, groups), _label(targets[0], data) if targets else None
    wanted = [_wanted(facts, preprocess) for facts in words.values()]
    classes = [Wanted(facts, 1, None) for facts in targets if label and label.task == "classification"]
    # An iterator: columns come one after the other, in the order in which they are wanted.
    values = rows.frequent([*wanted, *classes])
    vocabularies = {name: next(values) for name in words}
    if label and classes:
        label = label.model_copy(update={"classes": _ordered(next(values).words, targets[0])})
    categorical = [_spelled(feature, data) for feature in _fit_categories(used, groups, vocabularies, preprocess)]
    # Last pass: columns that are made from others.
    taken = {*rows.schema, *(feature.name for feature in categorical)}
    dates = [feature for feature in numeric if feature.kind == "date"]
    parts = list(date_parts(rows, dates, preprocess, taken))
    clocks = [_spelled(feature, data) for feature in fit_numbers(rows, [clock], preprocess)] if _is_date(clock) else []
    repeated = [found for found in date_parts(rows, clocks, preprocess, taken) if found[0].repeats(found[1].vocabulary)]
    parts += repeated
    texts = [facts for facts in used.values() if facts.kind == "text"]
    embeddings = list(text_embeddings(rows, text_sources(words, vocabularies, texts), data, preprocess, taken))
    embedded = {embedding.source for embedding, _ in embeddings}
    if not (numeric or categorical or embedded or repeated):
        raise _no_feature()
    return Preprocessor(
        numeric=(*numeric, *(feature for _, features in embeddings for feature in features)),
        categorical=(*categorical, *(feature for _, feature in parts)),
        derived=(*(part for part, _ in parts), *(embedding for embedding, _ in embeddings)),
        order=tuple(name for name, facts in used.items() if facts.kind != "text"),
        label=label if label is None else _spelled(label, data),
        left_out=_kept_together(rows, data)
        | ({clock.name: CLOCK} if clock and not repeated else {})
        | {name: facts.left_out for name, facts in profiles.items() if facts.left_out}
        | {name: why for name, why in _unread(texts, preprocess).items() if name not in embedded},
        rare={name: 1 - found.covered for name, found in vocabularies.items() if found.covered < 1},
        scarce=tuple(name for name, found in vocabularies.items() if _is_scarce(words[name], found)),
        clocks=tuple(clocks) if repeated else (),
    )


def _is_date(facts: ColumnProfile | None) -> TypeGuard[ColumnProfile]:
    return facts is not None and facts.kind == "date"


def _is_scarce(facts: ColumnProfile, found: Vocabulary) -> bool:
    """Whether the known categories of a column belong to single rows, a few each at most."""
    known = (facts.rows - facts.missing) * found.covered
    return facts.kind != "boolean" and len(found.words) * SCARCE > known


def _spelled(feature: _F, data: DataSection) -> _F:
    """The feature with how its column is spelled."""
    if isinstance(feature, OneHotFeature):
        return feature
    gaps = () if isinstance(feature, NumericFeature) else data.gap_words(feature.name)
    return feature.model_copy(update={"spelling": data.columns.get(feature.name), "gaps": gaps})


def _unread(texts: Sequence[ColumnProfile], preprocess: PreprocessSection) -> dict[str, str]:
    """Why text columns are no features if they are not embedded."""
    why = "it has too few different texts" if preprocess.text_dimensions else "preprocess.text_dimensions is 0"
    return {facts.name: why for facts in texts}


def _kept_together(rows: TrainingRows, data: DataSection) -> dict[str, str]:
    """The column whose rows stay in one part, and why it is no feature; nothing where it is dropped anyway."""
    name = data.split.column
    if data.split.by != "hash" or name is None or name in data.drop or name not in rows.schema:
        return {}
    return {name: "rows with the same value stay in one part (data.split.column), so other parts have other values"}


def _no_feature() -> DataError:
    return DataError("No feature is left to learn from.", expected="Expected at least one column that varies.")


def _categories(used: Mapping[str, ColumnProfile], groups: Sequence[Group]) -> dict[str, ColumnProfile]:
    """Columns that each become one categorical feature."""
    joined = {name for group in groups for name in group.columns}
    kinds = ("categorical", "boolean")
    return {name: facts for name, facts in used.items() if name not in joined and facts.kind in kinds}


def _wanted(facts: ColumnProfile, preprocess: PreprocessSection) -> Wanted:
    # A boolean keeps both of its values, even if one is rare.
    return Wanted(facts, 1 if facts.kind == "boolean" else preprocess.min_count, preprocess.max_categories)


def _fit_categories(
    used: Mapping[str, ColumnProfile],
    groups: Sequence[Group],
    vocabularies: Mapping[str, Vocabulary],
    preprocess: PreprocessSection,
) -> Iterator[CategoricalFeature | OneHotFeature]:
    """Categorical features, in the order of their (first) columns."""
    first = {group.columns[0]: group for group in groups}
    taken = set(used)
    for name, facts in used.items():
        if name in first:
            joined = group_name(first[name].columns, taken)
            taken.add(joined)
            yield _fit_one_hot(joined, first[name], preprocess)
        elif name in vocabularies:
            kind: Literal["categorical", "boolean"] = "boolean" if facts.kind == "boolean" else "categorical"
            yield CategoricalFeature(
                name=name, dtype=str(facts.dtype), kind=kind, vocabulary=tuple(vocabularies[name].words)
            )  # fmt: skip


def _fit_one_hot(name: str, group: Group, preprocess: PreprocessSection) -> OneHotFeature:
    by_count = sorted(zip(group.columns, group.counts, strict=True), key=lambda column: -column[1])
    frequent = [column for column, count in by_count if count >= preprocess.min_count]
    vocabulary = tuple(frequent[: preprocess.max_categories] or [by_count[0][0]])
    # The other columns share the code of rare categories.
    return OneHotFeature(name=name, columns=group.columns, vocabulary=vocabulary)


def _label(facts: ColumnProfile, data: DataSection) -> Label:
    """The label, without its classes."""
    if facts.distinct < 2:
        raise DataError(
            f'The label "{facts.name}" has {facts.distinct} different value(s) in the training rows.',
            expected="Expected at least 2.",
            fix="Check data.label, or leave it out to train without a label.",
        )
    return Label(name=facts.name, dtype=str(facts.dtype), task=task_of(facts, data.task))


def _ordered(classes: Sequence[str], facts: ColumnProfile) -> tuple[str, ...]:
    """Classes by their number if the label is numeric, otherwise by their text."""
    by_number = facts.dtype.is_numeric()
    return tuple(sorted(classes, key=lambda c: (float(c), c) if by_number else (0.0, c)))
