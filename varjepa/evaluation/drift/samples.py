"""Samples as counts: small enough to travel with a model, exact enough to be compared with new rows."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from varjepa.config.base import Facts
from varjepa.evaluation.arrays import Floats

MOST_KNOTS = 128
"""A sample of more different numbers is counted between so many of them."""


class Dependent(Facts):
    """What is known of rows that come in clusters, such as those of a customer.

    Attributes:
        alike: intraclass correlation of the counted values, 0 to 1; 0 where rows are independent.
        cluster_rows: rows in the cluster of a row, on average over rows; 1 where rows are independent.
    """

    alike: float = 0.0
    cluster_rows: float = 1.0

    @property
    def independent(self) -> float:
        """Share of the rows that count as independent, in (0, 1] (Kish's design effect)."""
        return 1 / (1 + self.alike * (self.cluster_rows - 1))

    def clustered(self, alike: float, cluster_rows: float) -> Self:
        """The same counts, of rows in clusters."""
        return self.model_copy(update={"alike": alike, "cluster_rows": cluster_rows})


class Numbers(Dependent):
    """Numbers counted by cell: at each knot, and in the gaps before, between and behind the knots.

    A knot is a cell of its own, so that a pile of equal values (many zeros, say) that moves by however little is seen
    to move.

    Attributes:
        knots: K different values of the sample that was counted first, rising.
        counts: values per cell, [2 K + 1]; cell 2 k + 1 is knot k.
        missing: rows without a value.
        mean: of the values; 0 where there are none.
        spread: sum of their squared distances from the mean.
        days: whether they are dates, as days since 1970.
    """

    knots: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int = 0
    mean: float = 0.0
    spread: float = 0.0
    days: bool = False

    @classmethod
    def of(cls, values: Floats, *, knots: Sequence[float] | None = None, missing: int = 0, days: bool = False) -> Self:
        """Counts finite values [N], by the knots of another sample or by knots of their own.

        Examples:
            >>> Numbers.of(np.array([0.0, 0.0, 1.0, 3.0]), knots=(0.0, 2.0)).counts
            (0, 2, 1, 0, 1)
        """
        places = np.array(chosen_knots(values) if knots is None else knots)  # [K]
        # Both sides agree on a gap and add up to an even number; at a knot they differ by one: an odd number.
        cells = np.searchsorted(places, values, side="left") + np.searchsorted(places, values, side="right")
        mean = float(values.mean()) if len(values) else 0.0
        return cls(
            knots=tuple(places.tolist()), counts=tuple(np.bincount(cells, minlength=2 * len(places) + 1).tolist()),
            missing=missing, mean=mean, spread=float(np.square(values - mean).sum()), days=days,
        )  # fmt: skip

    @property
    def present(self) -> int:
        """Number of values."""
        return sum(self.counts)

    @property
    def deviation(self) -> float:
        """Standard deviation of the values."""
        return (self.spread / max(self.present, 1)) ** 0.5

    def below(self, places: Floats) -> Floats:
        """Share of the values up to each place, even between knots; those beyond the outer knots lie at them."""
        total, knots = np.cumsum(self.counts) / max(self.present, 1), np.array(self.knots)  # [2 K + 1], [K]
        before, upto = total[0::2][:-1], total[1::2]  # [K] each: share below each knot, and with the knot itself
        before[0], upto[-1] = 0.0, 1.0  # values beyond the outer knots count as theirs
        at = np.searchsorted(knots, places, side="right") - 1  # last knot up to each place; -1 before the first
        ends = np.clip(at + 1, 0, len(knots) - 1)  # the knot behind it, or the last one again
        gap = np.where(ends > at, knots[ends] - knots[at], 1.0)
        # How far into its gap a place lies, 0 to 1: values of a gap are taken to be even.
        inside = np.where(gap > 0, (places - knots[at]) / np.where(gap > 0, gap, 1.0), 0.0)
        return np.where(at < 0, 0.0, upto[at] + np.where(ends > at, inside * (before[ends] - upto[at]), 0.0))

    def plus(self, other: Self) -> Self:
        """Both samples together; counted by the same knots."""
        total = max(self.present + other.present, 1)
        # Mean and spread of a union from those of its parts (Chan et al. 1979): exact, without the values.
        step = other.mean - self.mean
        return self.model_copy(update={
            "counts": _sum(self.counts, other.counts), "missing": self.missing + other.missing,
            "mean": self.mean + step * other.present / total,
            "spread": self.spread + other.spread + step**2 * self.present * other.present / total,
        })  # fmt: skip


class Categories(Dependent):
    """Categories and how often each was seen.

    Attributes:
        names: of the categories.
        counts: rows of each.
        other: rows with a category that is none of them; None where that cannot be.
        missing: rows without any.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    other: int | None = None
    missing: int = 0

    @property
    def present(self) -> int:
        """Number of rows with a category, known or not."""
        return sum(self.counts) + (self.other or 0)

    @property
    def cells(self) -> tuple[int, ...]:
        """All counts, those of other categories last."""
        return (*self.counts, self.other or 0)

    def plus(self, other: Self) -> Self:
        """Both samples together; of the same categories."""
        rest = None if self.other is None else self.other + (other.other or 0)
        return self.model_copy(update={
            "counts": _sum(self.counts, other.counts), "other": rest, "missing": self.missing + other.missing
        })  # fmt: skip


Sample = Numbers | Categories


def chosen_knots(values: Floats, most: int = MOST_KNOTS) -> tuple[float, ...]:
    """At most this many different values of a sample, spread evenly over its ranks, rising."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) > most:
        middle = np.cumsum(counts) - 0.5 * counts  # rank of each value, ties sharing theirs
        picks = np.searchsorted(middle, np.linspace(middle[0], middle[-1], most))
        distinct = distinct[np.unique(picks)]
    return tuple(distinct.tolist())


def together(first: Sample, second: Sample) -> Sample:
    """Both samples together.

    Raises:
        TypeError: one has numbers and the other has categories.
    """
    match first, second:
        case Numbers(), Numbers():
            return first.plus(second)
        case Categories(), Categories():
            return first.plus(second)
    raise TypeError("numbers and categories have no sample in common")


def _sum(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(first, second, strict=True))
