"""The statistics that fitting needs. One process computes them from a stream, or many processes from partitions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, Self, TypeVar

import polars as pl

from varjepa.config.data import KIND
from varjepa.data.read.column_profile import ColumnProfile
from varjepa.data.spelling.learned import learned_number
from varjepa.errors import DataError

COLUMNS_AT_ONCE = 16
"""Columns whose statistics are gathered in one pass."""

MOST_DECIMALS = 6
"""Columns with up to this many decimals are imputed and sampled with the same number of decimals."""

CLASSES_OF_NUMBERS = 20
"""auto: a label of whole numbers with at most this many distinct values is a classification label."""

_T = TypeVar("_T")


class Moments(NamedTuple):
    """Statistics of a numeric column, missing cells left out.

    Attributes:
        mean: of the cells.
        std: population standard deviation.
        skew: population skewness; None or NaN if all cells are equal.
        smallest: smallest cell.
        largest: largest cell.
        beyond: largest distance from the cell rounded to 0, 1, ... `MOST_DECIMALS` decimals.
    """

    mean: float
    std: float
    skew: float | None
    smallest: float
    largest: float
    beyond: tuple[float, ...]

    @property
    def decimals(self) -> int | None:
        """Number of decimals that represents all cells; None if it is more than `MOST_DECIMALS`."""
        return next((d for d, distance in enumerate(self.beyond) if distance <= self.rounding), None)

    @property
    def rounding(self) -> float:
        """Distances up to this are rounding errors: most decimal fractions have no exact binary representation."""
        return 1e-12 * max(abs(self.smallest), abs(self.largest))


class Vocabulary(NamedTuple):
    """Frequent values of a column.

    Attributes:
        words: the values as text, most frequent first.
        covered: share of the cells, missing ones left out, that hold one of them.
    """

    words: list[str]
    covered: float


class Wanted(NamedTuple):
    """Which values of a column are wanted for its vocabulary.

    Attributes:
        facts: profile of the column.
        fewest: values that occur less often are left out.
        most: maximum number of values; None means all.
    """

    facts: ColumnProfile
    fewest: int
    most: int | None

    def frequent(self, counts: pl.DataFrame, cells: int | None = None) -> Vocabulary:
        """The wanted values. If none is frequent enough, the most frequent one.

        Args:
            counts: columns `value` and `len`.
            cells: number of cells that are not missing; None means the sum of the counts.
        """
        ordered = ordered_counts(counts, self.most)
        kept = ordered.filter(pl.col("len") >= self.fewest)
        kept = kept if kept.height else ordered.head(1)
        total = int(counts["len"].sum()) if cells is None else cells
        return Vocabulary(kept["value"].to_list(), int(kept["len"].sum()) / max(total, 1))


class TrainingRows(Protocol):
    """Statistics of the training rows."""

    schema: Mapping[str, pl.DataType]
    """Columns and their types."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    def head(self, columns: Sequence[str], rows: int) -> pl.DataFrame:
        """Columns of the first rows."""

    def profiles(
        self, columns: Sequence[str], declared: Mapping[str, KIND], enough: Mapping[str, int]
    ) -> dict[str, ColumnProfile]:
        """Profiles whose kinds are those of all rows. Other facts may come from a sample.

        Args:
            columns: to inspect.
            declared: kinds given by the user.
            enough: per column, a number of distinct values; whether there are more matters, how many more does not. 2
                for columns that are not listed.
        """

    def flag_sums(self, flags: Sequence[ColumnProfile]) -> dict[str, int]:
        """Number of rows that have each of these 0/1 columns set."""

    def one_set(self, runs: Sequence[Sequence[ColumnProfile]]) -> list[bool]:
        """For runs of 0/1 columns: whether every row has exactly one of them set."""

    def moments(self, columns: Sequence[ColumnProfile]) -> list[Moments]:
        """Statistics of numeric columns.

        Raises:
            DataError: one of them holds text.
        """

    def sample(self, columns: Sequence[ColumnProfile], stride: int) -> pl.DataFrame:
        """Numeric columns of every `stride`-th row, starting with the first."""

    def frequent(self, wanted: Sequence[Wanted]) -> Iterator[Vocabulary]:
        """The wanted values of each column."""

    def texts(self, facts: ColumnProfile, stride: int) -> pl.Series:
        """The text of a column in every `stride`-th row, starting with the first, without missing cells."""

    def derived(self, add: Callable[[pl.LazyFrame], pl.LazyFrame]) -> Self:
        """The same rows with further columns. `add` must be picklable."""


def number_kind(facts: ColumnProfile) -> Literal["numeric", "date"]:
    """How a column of numbers is read."""
    return "date" if facts.kind == "date" else "numeric"


def number(facts: ColumnProfile) -> pl.Expr:
    """Float64 expression of a numeric column, with the name of the column."""
    return learned_number(facts.name, number_kind(facts), facts.dtype).alias(facts.name)


def value_counts(frame: pl.LazyFrame, column: pl.Expr) -> pl.LazyFrame:
    """Distinct values of a column as `value` and their counts as `len`; missing cells left out."""
    return frame.select(column.alias("value")).drop_nulls().group_by("value").len()


def ordered_counts(counts: pl.DataFrame, most: int | None) -> pl.DataFrame:
    """The `most` largest counts (None: all), ties by value."""
    ordered = counts.sort(["len", "value"], descending=[True, False])
    return ordered if most is None else ordered.head(most)


def gather_by_column(
    gather: Callable[[Sequence[ColumnProfile]], list[_T]], columns: Sequence[ColumnProfile]
) -> list[_T]:
    """The result of `gather` for numeric columns.

    Raises:
        DataError: one of them holds text; the message names it.
    """
    try:
        return gather(columns)
    except pl.exceptions.InvalidOperationError:
        if len(columns) > 1:
            # Polars does not say which column failed. One column at a time, it is known.
            return [gather_by_column(gather, [facts])[0] for facts in columns]
        facts = columns[0]
        raise DataError(f'The column "{facts.name}" holds text.', expected=f"Expected a {facts.kind} column.") from None
