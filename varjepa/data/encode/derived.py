"""Columns that are made from others before cells are encoded: parts of dates, and embeddings of text.

They become features like any other. They are read, never written: imputations and samples have no columns for them.
"""

import base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varjepa.config.base import Facts
from varjepa.data.cells import as_text, without_gaps
from varjepa.data.encode.features import NumericFeature

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DAY = 86_400e6
"""Microseconds of a day."""

NGRAMS = (2, 4)
"""Lengths of the n-grams of characters, within words."""

MOST_REMEMBERED = 32 * 2**20
"""Bytes of texts and their numbers that an embedding remembers."""

FEWEST_LOOKED_UP = 256
"""Texts from which on it pays to look among those that are remembered: fewer are embedded in less time."""

WHOLE = {"month": 12, "weekday": 5, "hour": 2}
"""How many values of a part of a date show that it repeats: a year of months, a week without its end, day and night."""

_EMBEDDING = "__embedding__"


class DatePart(Facts):
    """The hour, weekday or month of a date column, as a category: what repeats in time is no number that grows."""

    kind: Literal["date part"] = "date part"
    source: str
    name: str
    part: Literal["hour", "weekday", "month"]

    @property
    def names(self) -> tuple[str, ...]:
        """The one column that it makes."""
        return (self.name,)

    def read(self, days: pl.Expr) -> pl.Expr:
        """Int8 expression of the part: hours 0 to 23, weekdays 1 (Monday) to 7, months 1 to 12.

        Args:
            days: the date as days since 1970, null where missing.
        """
        moment = (days * DAY).round().cast(pl.Int64).cast(pl.Datetime("us")).dt
        return getattr(moment, self.part)().cast(pl.Int8).alias(self.name)

    def repeats(self, seen: Sequence[str]) -> bool:
        """Whether later rows have no other values than those that training has seen: all months, weekdays or hours.

        Args:
            seen: values in the training rows, each once.
        """
        return len(seen) >= WHOLE[self.part]


class TextEmbedding(Facts):
    """Numbers that are alike for texts with the same words and n-grams of characters: hashed, weighted, projected.

    Words and n-grams are hashed, so there is no vocabulary that could be too small. Each is weighted by how rare it is
    in the training rows. The projection keeps the directions in which texts differ most
    (latent semantic analysis).

    References:
        Deerwester et al. 1990, "Indexing by latent semantic analysis"; Weinberger et al. 2009, "Feature hashing for
        large scale multitask learning", arXiv:0902.2206.
    """

    kind: Literal["text embedding"] = "text embedding"
    source: str
    names: tuple[str, ...]
    """Of the k columns that it makes."""
    rarity: str
    """Weight of each of the H hashed n-grams and words, float32 [H] in base 64."""
    directions: str
    """float32 [k, H] in base 64."""
    gaps: tuple[str, ...] = ()
    """Words that mean a missing text, as they are written."""

    @classmethod
    def of(
        cls, source: str, names: Sequence[str], rarity: NDArray[np.float32], directions: NDArray[np.float32]
    ) -> "TextEmbedding":
        """From arrays [H] and [k, H]."""
        return cls(source=source, names=tuple(names), rarity=_packed(rarity), directions=_packed(directions))

    def read(self, dtype: pl.DataType) -> pl.Expr:
        """Expression of a struct of k Float64 fields, null where the text is missing or blank, as in an opened table.

        Args:
            dtype: of the source now.
        """
        fields = pl.Struct(dict.fromkeys(self.names, pl.Float64))
        texts = without_gaps(as_text(self.source, dtype), exact=self.gaps)
        return texts.map_batches(self._embed, return_dtype=fields, is_elementwise=True)

    def _embed(self, texts: pl.Series) -> pl.Series:
        texts = texts.alias("text")
        table = _embedder(self.rarity, self.directions, len(self.names)).table(texts.drop_nulls().unique())
        placed = texts.to_frame().join(table, on="text", how="left", maintain_order="left").drop("text")
        return placed.rename(dict(zip(placed.columns, self.names, strict=True))).to_struct()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Numbers [n, k] of texts."""
        return _embedder(self.rarity, self.directions, len(self.names)).embed(texts)


class _Embedder:
    """Embeds texts by weights, and remembers the texts of last time: most rows repeat the texts of those before.

    The numbers of a text do not depend on the texts that are embedded with it.

    Args:
        rarity: [H].
        directions: [k, H].
    """

    def __init__(self, rarity: NDArray[np.float32], directions: NDArray[np.float32]) -> None:
        self._rarity, self._directions = rarity, directions.T.astype(np.float64)
        self._known = self._made(pl.Series("text", [], dtype=pl.String))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Numbers [n, k] of texts."""
        return np.asarray(weighted(hashed_counts(texts, len(self._rarity)), self._rarity) @ self._directions)

    def table(self, distinct: pl.Series) -> pl.DataFrame:
        """Texts with their k numbers: at least those that are asked for, each once."""
        if len(distinct) < FEWEST_LOOKED_UP:
            return self._made(distinct.sort())
        known = self._known  # read once: threads that embed at the same time replace it
        new = distinct.to_frame("text").join(known, on="text", how="anti").to_series().sort()
        if not len(new):
            return known
        table = pl.concat([known, self._made(new)])
        if table.estimated_size() > MOST_REMEMBERED:
            table = table.join(distinct.to_frame("text"), on="text", how="semi")
        if table.estimated_size() <= MOST_REMEMBERED:
            self._known = table
        return table

    def _made(self, texts: pl.Series) -> pl.DataFrame:
        numbers = self.embed(texts.to_list()) if len(texts) else np.zeros((0, self._directions.shape[1]))
        return pl.DataFrame({"text": texts} | {f"{k}": column for k, column in enumerate(numbers.T)})


@lru_cache(maxsize=8)
def _embedder(rarity: str, directions: str, k: int) -> _Embedder:
    # Not an attribute of the embedding, which is pickled and compared.
    weights = (np.frombuffer(base64.b64decode(packed), dtype=np.float32) for packed in (rarity, directions))
    return _Embedder(next(weights), next(weights).reshape(k, -1))


def hashed_counts(texts: Sequence[str], hashes: int) -> "csr_matrix":
    """How often each text has each hashed n-gram and word [n, hashes]; upper and lower case are the same.

    Half of the hashes are for n-grams of characters, which forgive other spellings. The others are for words, so that a
    short word such as `Mr.` weighs as much as a long one.
    """
    from scipy.sparse import hstack  # noqa: PLC0415 (these cost seconds, needed here alone)
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415

    counts = [
        HashingVectorizer(
            analyzer=analyzer, ngram_range=lengths, n_features=hashes // 2, alternate_sign=False, norm=None
        ).transform(texts)
        for analyzer, lengths in (("char_wb", NGRAMS), ("word", (1, 1)))
    ]
    return hstack(counts).tocsr()


def weighted(counts: "csr_matrix", rarity: NDArray[np.float32]) -> "csr_matrix":
    """Rows of counts times rarity. N-grams and words have length 1 each; a text without any stays 0."""
    from scipy.sparse import hstack  # noqa: PLC0415
    from sklearn.preprocessing import normalize  # noqa: PLC0415

    rows, half = counts.multiply(rarity.astype(np.float64)).tocsc(), counts.shape[1] // 2
    return hstack([normalize(part.tocsr()) for part in (rows[:, :half], rows[:, half:])]).tocsr()


def _packed(numbers: NDArray[np.float32]) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, dtype=np.float32).tobytes()).decode("ascii")


def with_date_parts(
    frame: pl.LazyFrame, parts: Sequence[DatePart], dates: Mapping[str, NumericFeature]
) -> pl.LazyFrame:
    """The frame with the parts of its dates.

    Args:
        frame: with the date columns.
        parts: to add.
        dates: feature of each date column, which knows how it is spelled.
    """
    schema = dict(frame.collect_schema())
    return frame.with_columns(part.read(dates[part.source].number(schema)) for part in parts)


def with_text(frame: pl.LazyFrame, embedding: TextEmbedding) -> pl.LazyFrame:
    """The frame with the columns of an embedding."""
    dtype = frame.collect_schema()[embedding.source]
    # One struct, so that the text is embedded once and not once per column.
    return frame.with_columns(embedding.read(dtype).alias(_EMBEDDING)).unnest(_EMBEDDING)
