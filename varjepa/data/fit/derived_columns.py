"""Chooses and fits the columns that are made from others (see `varjepa.data.encode.derived`)."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np
import polars as pl

from varjepa.config import DataSection, PreprocessSection
from varjepa.data.encode.derived import DatePart, TextEmbedding, hashed_counts, weighted, with_date_parts
from varjepa.data.encode.features import CategoricalFeature, NumericFeature
from varjepa.data.fit.rows_protocol import TrainingRows, Vocabulary, Wanted
from varjepa.data.names import free_name
from varjepa.data.read.column_profile import ColumnProfile, is_text

MOSTLY_OTHER = 0.2
"""Categories of which a larger share of the cells has no code of its own are read as text, too."""

SHOWN_RARE = 0.05
"""A larger share of cells with rare categories is said."""

HASHES = 2**12
"""Number of hashed n-grams and words. Two with the same hash are one; few of the frequent ones are."""

TEXTS = 20_000
"""About this many texts of training rows, evenly spaced, teach the embedding of a column."""

FLAT = 1e-6
"""Directions in which texts have a smaller standard deviation are kept as they are."""

FEWEST_TEXTS = 20
"""Fewer different texts show no directions."""

PARTS: tuple[Literal["month", "weekday", "hour"], ...] = ("month", "weekday", "hour")
"""Parts of a date."""


def rare_words(share: float) -> str:
    """What becomes of a column of which this share of the values are rare categories."""
    read = ", and are read as text" if share > MOSTLY_OTHER else ""
    return f"{share:.0%} of its values are rare categories, which share one code (preprocess.min_count){read}"


def date_parts(
    rows: TrainingRows, dates: Sequence[NumericFeature], preprocess: PreprocessSection, taken: set[str]
) -> Iterator[tuple[DatePart, CategoricalFeature]]:
    """The parts of dates that vary in the training rows, with their features.

    Args:
        rows: the training rows.
        dates: features of date columns.
        preprocess: how often a value must occur.
        taken: names of columns; those of the parts are added.
    """
    parts = [
        DatePart(source=feature.name, name=free_name(f"{feature.name} ({part})", taken), part=part)
        for feature in dates if preprocess.date_parts for part in PARTS
    ]  # fmt: skip
    if not parts:
        return
    by_name = {feature.name: feature for feature in dates}
    derived = rows.derived(partial(with_date_parts, parts=parts, dates=by_name))
    wanted = [Wanted(_whole(part.name, rows.rows), preprocess.min_count, None) for part in parts]
    for part, vocabulary in zip(parts, derived.frequent(wanted), strict=True):
        if len(vocabulary.words) > 1:
            words = tuple(vocabulary.words)
            yield part, CategoricalFeature(name=part.name, dtype="Int8", kind="categorical", vocabulary=words)


def _whole(name: str, rows: int) -> ColumnProfile:
    return ColumnProfile(name, pl.Int8(), "categorical", rows, 0, 0, None, None, whole=True)


def text_sources(
    words: Mapping[str, ColumnProfile], vocabularies: Mapping[str, Vocabulary], texts: Sequence[ColumnProfile]
) -> list[ColumnProfile]:
    """Columns to read as text: those of this kind, and words of which many have no code of their own."""
    rare = {name for name, vocabulary in vocabularies.items() if vocabulary.covered < 1 - MOSTLY_OTHER}
    others = [facts for name, facts in words.items() if name in rare and is_text(facts.dtype)]
    return [*texts, *others]


def text_embeddings(
    rows: TrainingRows, columns: Sequence[ColumnProfile], data: DataSection, preprocess: PreprocessSection,
    taken: set[str],
) -> Iterator[tuple[TextEmbedding, list[NumericFeature]]]:  # fmt: skip
    """The embeddings of text columns, with their features.

    Args:
        rows: the training rows.
        columns: to read as text.
        data: the gap words of columns.
        preprocess: the number of dimensions, and where numbers are clipped.
        taken: names of columns; those of the embeddings are added.
    """
    for facts in columns if preprocess.text_dimensions else ():
        # Of a nearly empty column, evenly spaced rows would show next to nothing.
        present = round(rows.rows * (1 - facts.missing / facts.rows))
        texts = rows.texts(facts, max(1, present // TEXTS))
        if texts.n_unique() < FEWEST_TEXTS:
            continue
        size = min(preprocess.text_dimensions, texts.n_unique() - 1)
        names = [free_name(f"{facts.name} (text {k})", taken) for k in range(1, size + 1)]
        embedding, features = _embedding(facts.name, texts, names, preprocess)
        yield embedding.model_copy(update={"gaps": data.gap_words(facts.name)}), features


def _embedding(
    source: str, texts: pl.Series, names: Sequence[str], preprocess: PreprocessSection
) -> tuple[TextEmbedding, list[NumericFeature]]:
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415 (costs seconds, needed here alone)

    counts = hashed_counts(texts.to_list(), HASHES)
    occurs = np.asarray((counts > 0).sum(axis=0)).ravel()  # texts with each n-gram or word, [H]
    # Rare ones weigh more, those of no training text nothing: they would only add noise.
    rarity = np.where(occurs > 0, np.log((1 + counts.shape[0]) / (1 + occurs)) + 1, 0).astype(np.float32)
    directions = TruncatedSVD(len(names), random_state=0).fit(weighted(counts, rarity)).components_
    embedding = TextEmbedding.of(source, names, rarity, directions.astype(np.float32))
    numbers = embedding.embed(texts.to_list())  # [n, k]
    features = [
        NumericFeature(
            name=name, dtype="Float64", kind="numeric", transform="standard", mean=float(column.mean()),
            # Texts that do not differ in a direction would turn rounding errors into deviations.
            std=float(column.std()) if column.std() > FLAT else 1.0, clip=preprocess.clip, smallest=float(column.min()),
            largest=float(column.max()), decimals=None,
        )
        for name, column in zip(names, numbers.T, strict=True)
    ]  # fmt: skip
    return embedding, features
