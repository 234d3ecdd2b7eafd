"""Statistics of one partition of the rows, and how they merge into those of all rows.

Most facts merge exactly: counts add up, extremes are extremes of extremes. Two need care. Means and central moments are
merged by formulas that lose no digits (`moments`). The question whether all values of a column differ cannot be
answered from partitions alone; `ranges.py` answers it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl

from varjepa.data.cells import column, finite, nameless, reads_plainly
from varjepa.data.fit.rows_protocol import CLASSES_OF_NUMBERS, MOST_DECIMALS, Moments
from varjepa.data.read.text_columns import sketch

FEW = CLASSES_OF_NUMBERS
"""Columns with at most this many distinct values are recorded with the counts of the values."""

GLANCE = 10_000
"""Cells that are checked first for many distinct values, before all cells are."""

CUTS = 64
"""Sample size per partition for columns with too many distinct values. The samples divide the values into even
ranges."""


class ColumnFacts(NamedTuple):
    """Facts about a column of a partition, from which its kind is inferred after merging.

    Attributes:
        present: number of cells that are not missing.
        smallest: smallest of them; of text, too, to see whether partitions overlap. None if there are none.
        largest: largest of them.
        whole: whether all are whole numbers.
        numbers: for text, how many cells are numbers or dates.
        word: for text, the first cell that is neither.
        few: the distinct values and their counts; None if there are more than `FEW`.
        repeats: number of cells whose value has occurred before; all cells if the kind does not depend on it.
        least: a lower bound of the number of distinct values.
        cuts: a sample of the values, if the kind depends on whether they repeat.
        sketch: of text with more than `FEW` distinct values, some of them (see `text_columns.sketch`).
    """

    present: int
    smallest: Any = None
    largest: Any = None
    whole: bool = True
    numbers: int = 0
    word: str | None = None
    few: dict[Any, int] | None = None
    repeats: int = 0
    least: int = 0
    cuts: tuple[Any, ...] = ()
    sketch: tuple[str, ...] = ()

    @classmethod
    def of(cls, cells: pl.Series) -> Self:
        """The facts of a column of `comparable` cells."""
        present, dtype = nameless(cells).drop_nulls(), cells.dtype
        if present.is_empty():
            return cls(0, few={})
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
            return cls(len(present), repeats=len(present))
        few = _few(present)
        whole = bool((present == present.round()).all()) if dtype.is_float() else dtype.is_integer()
        repeats = len(present) - len(few) if few is not None else _repeats(present, whole=whole)
        text = dtype == pl.String
        plain = reads_plainly(present) if text else None
        return cls(
            len(present),
            smallest=min(few) if few is not None else present.min(),
            largest=max(few) if few is not None else present.max(),
            whole=whole,
            numbers=0 if plain is None else int(plain.sum()),
            word=None if plain is None else next(iter(present.filter(~plain).head(1)), None),
            few=few,
            repeats=repeats,
            least=len(present) - repeats,
            cuts=tuple(spread(present)) if repeats < len(present) and (whole or text) else (),
            sketch=tuple(sketch(present)) if text and few is None else (),
        )

    @classmethod
    def merged(cls, parts: Sequence[Self]) -> Self:
        """The facts of all partitions together, in their order.

        `repeats` counts within partitions. A value that occurs once in each of two partitions is not detected here.
        """
        # An empty partition has a neutral value for no fact, `whole` for example, so it is left out.
        filled = [part for part in parts if part.present] or list(parts[:1])
        few: dict[Any, int] | None = {}
        for part in filled:
            # None means too many, and too many in one partition are too many in all.
            few = None if few is None or part.few is None else _added(few, part.few)
        with_ends = [part for part in filled if part.smallest is not None]
        return cls(
            sum(part.present for part in filled),
            smallest=min((part.smallest for part in with_ends), default=None),
            largest=max((part.largest for part in with_ends), default=None),
            whole=all(part.whole for part in filled),
            numbers=sum(part.numbers for part in filled),
            word=next((part.word for part in filled if part.word is not None), None),
            few=few,
            repeats=sum(part.repeats for part in filled),
            least=max(part.least for part in filled),
            cuts=tuple(value for part in filled for value in part.cuts),
            sketch=tuple(sketch(pl.Series([word for part in filled for word in part.sketch], dtype=pl.String))),
        )


class Sums(NamedTuple):
    """Central sums over the cells of a numeric column in one partition.

    Attributes:
        cells: number of cells n.
        mean: mean m of the cells.
        squares: sum of (x - m)^2.
        cubes: sum of (x - m)^3.
        smallest: smallest cell.
        largest: largest cell.
        beyond: see `Moments`.
    """

    cells: int
    mean: float
    squares: float
    cubes: float
    smallest: float
    largest: float
    beyond: tuple[float, ...]

    @classmethod
    def of(cls, cells: pl.Series) -> Self | None:
        """The sums of float64 cells; None if all are missing."""
        present = nameless(cells).drop_nulls()
        if present.is_empty():
            return None
        values = present.to_numpy()  # [n]
        mean = float(values.mean())
        # Sums of plain squares would lose digits where the mean is far from 0; distances from the mean do not.
        distances = values - mean
        squares = distances * distances
        beyond = tuple(float(np.abs(present.round(d).to_numpy() - values).max()) for d in range(MOST_DECIMALS + 1))
        return cls(
            len(values), mean, float(squares.sum()), float((squares * distances).sum()), float(values.min()),
            float(values.max()), beyond,
        )  # fmt: skip


def moments(parts: Sequence[Sums | None]) -> Moments:
    """Moments of all partitions together. At least one partition must have cells.

    Central sums can be added after they are shifted to the common mean m. With n, S2 and S3 the number of cells and the
    central sums of a partition, and d its mean minus m:

        sum (x - m)^2 = S2 + n d^2
        sum (x - m)^3 = S3 + 3 d S2 + n d^3

    References:
        Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1; for third moments Pebay
        2008, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical
        moments", SAND2008-6212, eq. 2.1, here for any number of partitions at once.
    """
    filled = [part for part in parts if part is not None]
    # One entry per partition: [P] each.
    count, mean, squares, cubes = (np.array([part[k] for part in filled], dtype=float) for k in range(4))
    # Means are averaged as differences from the first one. So a large offset that all partitions share loses no digits.
    total, first = count.sum(), mean[0]
    common = first + (count * (mean - first)).sum() / total
    d = mean - common
    var = (squares + count * d**2).sum() / total
    third = (cubes + 3 * d * squares + count * d**3).sum() / total
    return Moments(
        mean=float(common),
        std=float(np.sqrt(var)),
        skew=float(third / var**1.5) if var > 0 else None,
        smallest=min(part.smallest for part in filled),
        largest=max(part.largest for part in filled),
        beyond=tuple(max(distances) for distances in zip(*(part.beyond for part in filled), strict=True)),
    )


class Tally:
    """Counts of the distinct values of a column, merged over partitions.

    With more than `limit` distinct values the counts are dropped, to bound the memory. Only an upper bound of their
    number and a sample of them remain.

    Args:
        limit: maximum number of distinct values whose counts are kept.
        counts: columns `value` and `len`.
    """

    def __init__(self, limit: int, counts: pl.DataFrame | None = None) -> None:
        self.limit = limit
        self.counts: pl.DataFrame | None = None
        self.distinct = 0
        """Number of distinct values; an upper bound if the counts were dropped."""
        self.cells = 0
        """Number of cells counted."""
        self.cuts: list[Any] = []
        """A sample of the values if the counts were dropped, otherwise empty."""
        if counts is not None:
            self.cells = int(counts["len"].sum())
            self._hold(counts)

    def add(self, other: "Tally") -> None:
        """Adds the counts of another partition."""
        self.cells += other.cells
        if self.counts is not None and other.counts is not None:
            both = (
                pl.concat([self.counts, other.counts], how="vertical_relaxed")
                .group_by("value")
                .agg(pl.col("len").sum())
            )
            self._hold(both)
            return
        # Values may occur in both, so the sum is an upper bound.
        cuts = [*self._sample(), *other._sample()]  # noqa: SLF001 (same class)
        self.counts, self.distinct, self.cuts = None, self.distinct + other.distinct, cuts

    def _hold(self, counts: pl.DataFrame) -> None:
        self.distinct = counts.height
        self.counts = counts if counts.height <= self.limit else None
        self.cuts = [] if self.counts is not None else spread(counts["value"])

    def _sample(self) -> list[Any]:
        return self.cuts if self.counts is None else spread(self.counts["value"])


def comparable(name: str, dtype: pl.DataType) -> pl.Expr:
    """The column with null in place of NaN and infinities, and with categories as text.

    The codes of Polars categories differ between partitions, their text does not.
    """
    return column(name).cast(pl.String) if dtype in (pl.Categorical, pl.Enum) else finite(column(name), dtype)


def spread(values: pl.Series) -> list[Any]:
    """At most `CUTS` of the values, evenly spaced."""
    step = -(-max(1, len(values)) // CUTS)  # rounded up
    return values.gather_every(step).to_list()


def _few(present: pl.Series) -> dict[Any, int] | None:
    """Counts of the distinct values; None if there are more than `FEW`."""
    if present.head(GLANCE).n_unique() > FEW:
        return None
    counts = present.rename("value").value_counts()
    return dict(counts.iter_rows()) if counts.height <= FEW else None


def _added(first: dict[Any, int], second: dict[Any, int]) -> dict[Any, int] | None:
    """The sum of two tables of counts; None if it has more than `FEW` values."""
    counts = first | {value: first.get(value, 0) + count for value, count in second.items()}
    return counts if len(counts) <= FEW else None


def _repeats(present: pl.Series, *, whole: bool) -> int:
    """See `ColumnFacts.repeats`."""
    # Fractions and dates are never identifiers, so their kind does not depend on repeated values.
    if (present.dtype.is_numeric() and not whole) or present.dtype in (pl.Date, pl.Datetime):
        return len(present)
    return len(present) - present.n_unique()
