"""What is gathered in one partition of the rows, and how it merges into what all rows together would have given."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl

from varjepa.data.cells import finite
from varjepa.data.fit.rows_protocol import CLASSES_OF_NUMBERS, MOST_DECIMALS, Moments

FEW = CLASSES_OF_NUMBERS
"""Up to this many different values of a column are told with their counts."""

GLANCE = 10_000
"""Cells that tell whether a column has few values, or one of them twice, before all are looked at."""

CUTS = 64
"""Values that a partition gives of a column of too many, to cut the range of all values into even pieces."""


class ColumnFacts(NamedTuple):
    """What there is to know of a column before its kind is settled.

    Attributes:
        present: cells that are not missing.
        smallest: smallest of them; None where that tells nothing.
        largest: largest of them.
        whole: whether all are whole numbers.
        numbers: of text, how many are numbers.
        word: of text, the first that is none.
        few: the different values and their counts; None where there are more than `FEW`.
        repeated: whether a value occurs twice; not looked for where the kind does not hang on it.
        cuts: some of the values, where all of many differ.
    """

    present: int
    smallest: Any = None
    largest: Any = None
    whole: bool = True
    numbers: int = 0
    word: str | None = None
    few: dict[Any, int] | None = None
    repeated: bool = False
    cuts: tuple[Any, ...] = ()

    @classmethod
    def of(cls, cells: pl.Series) -> Self:
        """The facts of `comparable` cells."""
        there, dtype = cells.drop_nulls(), cells.dtype
        if there.is_empty():
            return cls(0, few={})
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
            return cls(len(there), repeated=True)
        few = _few(there)
        whole = bool((there == there.round()).all()) if dtype.is_float() else dtype.is_integer()
        repeated = max(few.values(), default=0) > 1 if few is not None else _repeated(there, whole=whole)
        numbers = there.str.strip_chars().cast(pl.Float64, strict=False) if dtype == pl.String else None
        ends = dtype.is_numeric() or dtype.is_temporal() or not repeated
        return cls(
            len(there),
            smallest=there.min() if ends else None,
            largest=there.max() if ends else None,
            whole=whole,
            numbers=0 if numbers is None else numbers.count(),
            word=None if numbers is None else next(iter(there.filter(numbers.is_null()).head(1)), None),
            few=few,
            repeated=repeated,
            cuts=() if repeated else tuple(spread(there)),
        )

    @classmethod
    def merged(cls, parts: Sequence[Self]) -> Self:
        """Those of all partitions, in their order; `repeated` only tells of values twice in one of them."""
        known = [part for part in parts if part.present] or list(parts[:1])
        few: dict[Any, int] | None = {}
        for part in known:
            few = None if few is None or part.few is None else _added(few, part.few)
        told = [part for part in known if part.smallest is not None]
        return cls(
            sum(part.present for part in known),
            smallest=min((part.smallest for part in told), default=None),
            largest=max((part.largest for part in told), default=None),
            whole=all(part.whole for part in known),
            numbers=sum(part.numbers for part in known),
            word=next((part.word for part in known if part.word is not None), None),
            few=few,
            repeated=any(part.repeated for part in known),
            cuts=tuple(value for part in known for value in part.cuts),
        )


class Sums(NamedTuple):
    """Sums over the cells of a numeric column.

    Attributes:
        cells: how many there are.
        mean: of the cells.
        squares: of the distances from that mean.
        cubes: of the distances from that mean.
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
        there = cells.drop_nulls()
        if there.is_empty():
            return None
        values = there.to_numpy()
        mean = float(values.mean())
        distances = values - mean
        squares = distances * distances
        beyond = tuple(float(np.abs(there.round(d).to_numpy() - values).max()) for d in range(MOST_DECIMALS + 1))
        return cls(
            len(values), mean, float(squares.sum()), float((squares * distances).sum()), float(values.min()),
            float(values.max()), beyond,
        )  # fmt: skip


def moments(parts: Sequence[Sums | None]) -> Moments:
    """Moments of all partitions together, at least one of which has cells.

    Central sums add up once they are moved to the common mean: with d the mean of a partition less that of all,
    sum (x - m)^2 = S2 + n d^2 and sum (x - m)^3 = S3 + 3 d S2 + n d^3.

    References:
        Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1; for third moments Pebay
        2008, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical
        moments", SAND2008-6212, eq. 2.1, here for any number of partitions at once.
    """
    known = [part for part in parts if part is not None]
    count, mean, squares, cubes = (np.array([part[k] for part in known], dtype=float) for k in range(4))
    # From the first mean on, so that what all partitions have in common costs no digits.
    total, first = count.sum(), mean[0]
    common = first + (count * (mean - first)).sum() / total
    d = mean - common
    var = (squares + count * d**2).sum() / total
    third = (cubes + 3 * d * squares + count * d**3).sum() / total
    return Moments(
        mean=float(common),
        std=float(np.sqrt(var)),
        skew=float(third / var**1.5) if var > 0 else None,
        smallest=min(part.smallest for part in known),
        largest=max(part.largest for part in known),
        beyond=tuple(max(distances) for distances in zip(*(part.beyond for part in known), strict=True)),
    )


class Tally:
    """Counts of the values of a column, added up until there are too many; then only how many and some of them.

    Args:
        limit: more different values than these are too many.
        counts: `value` and `len`.
    """

    def __init__(self, limit: int, counts: pl.DataFrame | None = None) -> None:
        self.limit = limit
        self.counts: pl.DataFrame | None = None
        self.distinct = 0
        """Different values; where there are too many, at most so many."""
        self.cuts: list[Any] = []
        """Some of the values, where there are too many."""
        if counts is not None:
            self._hold(counts)

    def add(self, other: "Tally") -> None:
        """Adds the counts of another partition."""
        if self.counts is not None and other.counts is not None:
            both = (
                pl.concat([self.counts, other.counts], how="vertical_relaxed")
                .group_by("value")
                .agg(pl.col("len").sum())
            )
            self._hold(both)
            return
        cuts = [*self._some(), *other._some()]  # noqa: SLF001 (one of us)
        self.counts, self.distinct, self.cuts = None, self.distinct + other.distinct, cuts

    def _hold(self, counts: pl.DataFrame) -> None:
        self.distinct = counts.height
        self.counts = counts if counts.height <= self.limit else None
        self.cuts = [] if self.counts is not None else spread(counts["value"])

    def _some(self) -> list[Any]:
        return self.cuts if self.counts is None else spread(self.counts["value"])


def comparable(name: str, dtype: pl.DataType) -> pl.Expr:
    """The column with NaN and infinities made null; categories as text, whatever their table of words."""
    return pl.col(name).cast(pl.String) if dtype in (pl.Categorical, pl.Enum) else finite(pl.col(name), dtype)


def spread(values: pl.Series) -> list[Any]:
    """At most `CUTS` of the values, evenly spaced."""
    return values.gather_every(-(-max(1, len(values)) // CUTS)).to_list()


def _few(there: pl.Series) -> dict[Any, int] | None:
    if there.head(GLANCE).n_unique() > FEW:
        return None
    counts = there.rename("value").value_counts()
    return dict(counts.iter_rows()) if counts.height <= FEW else None


def _added(first: dict[Any, int], second: dict[Any, int]) -> dict[Any, int] | None:
    counts = first | {value: first.get(value, 0) + count for value, count in second.items()}
    return counts if len(counts) <= FEW else None


def _repeated(there: pl.Series, *, whole: bool) -> bool:
    dtype, glance = there.dtype, there.head(GLANCE)
    settled = (dtype.is_numeric() and not whole) or dtype in (pl.Date, pl.Datetime)
    return settled or glance.n_unique() < len(glance) or there.n_unique() < len(there)
