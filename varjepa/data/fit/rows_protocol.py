"""What fitting asks of the training rows, whoever reads them: one process as a stream, or many in partitions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeVar

import polars as pl

from varjepa.config.data import KIND
from varjepa.data.cells import as_number
from varjepa.data.read.column_profile import ColumnProfile
from varjepa.errors import DataError

COLUMNS_AT_ONCE = 16
"""Columns whose statistics are gathered in one pass."""

MOST_DECIMALS = 6
"""Numbers with up to this many decimals are imputed and drawn with as many."""

CLASSES_OF_NUMBERS = 20
"""auto: a label of whole numbers with at most this many values is a class."""

_T = TypeVar("_T")


class Moments(NamedTuple):
    """Statistics of a numeric column, missing cells left out.

    Attributes:
        mean: of the cells.
        std: population standard deviation.
        skew: population skewness; None or NaN where all cells are equal.
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
        """With how many decimals all cells are told; None where they have more than `MOST_DECIMALS`."""
        return next((d for d, distance in enumerate(self.beyond) if distance <= self.rounding), None)

    @property
    def rounding(self) -> float:
        """Distances up to this one are those of numbers in binary from what they stand for."""
        return 1e-12 * max(abs(self.smallest), abs(self.largest))


class Wanted(NamedTuple):
    """Which values of a column are asked for.

    Attributes:
        facts: of the column.
        fewest: values that occur less often are left out.
        most: at most so many; None means all.
    """

    facts: ColumnProfile
    fewest: int
    most: int | None

    def frequent(self, counts: pl.DataFrame) -> list[str]:
        """The values asked for, from `value` and `len`: most frequent first; if none is frequent, the first of all."""
        ordered = ordered_counts(counts, self.most)
        return ordered.filter(pl.col("len") >= self.fewest)["value"].to_list() or ordered["value"].head(1).to_list()


class TrainingRows(Protocol):
    """Statistics of the training rows."""

    schema: Mapping[str, pl.DataType]
    """Columns and their types."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    def profiles(
        self, columns: Sequence[str], declared: Mapping[str, KIND], enough: Mapping[str, int]
    ) -> dict[str, ColumnProfile]:
        """Profiles whose kinds are those of all rows; other facts may be those of a sample.

        Args:
            columns: to look at.
            declared: kinds that a person gave.
            enough: more different values of a column than these are as good as any number of them; 2 if not said.
        """

    def flag_sums(self, flags: Sequence[ColumnProfile]) -> dict[str, int]:
        """How many rows have each of these 0/1 columns set."""

    def one_set(self, runs: Sequence[Sequence[ColumnProfile]]) -> list[bool]:
        """For runs of 0/1 columns: whether every row has exactly one of them set."""

    def moments(self, columns: Sequence[ColumnProfile]) -> list[Moments]:
        """Statistics of numeric columns.

        Raises:
            DataError: text stands in one of them.
        """

    def sample(self, columns: Sequence[ColumnProfile], stride: int) -> pl.DataFrame:
        """Numeric columns of every `stride`-th row, from the first on."""

    def frequent(self, wanted: Sequence[Wanted]) -> Iterator[list[str]]:
        """Values of columns, as text."""


def number_kind(facts: ColumnProfile) -> Literal["numeric", "date"]:
    """What a column of numbers is read as."""
    return "date" if facts.kind == "date" else "numeric"


def number(facts: ColumnProfile) -> pl.Expr:
    """Float64 expression of a numeric column under its name."""
    return as_number(facts.name, number_kind(facts), facts.dtype).alias(facts.name)


def value_counts(frame: pl.LazyFrame, column: pl.Expr) -> pl.LazyFrame:
    """Every value of a column as `value`, and how many cells have it as `len`; missing cells left out."""
    return frame.select(column.alias("value")).drop_nulls().group_by("value").len()


def ordered_counts(counts: pl.DataFrame, most: int | None) -> pl.DataFrame:
    """The largest counts, equal ones by value."""
    ordered = counts.sort(["len", "value"], descending=[True, False])
    return ordered if most is None else ordered.head(most)


def gather_by_column(
    gather: Callable[[Sequence[ColumnProfile]], list[_T]], columns: Sequence[ColumnProfile]
) -> list[_T]:
    """What `gather` says of numeric columns.

    Raises:
        DataError: text stands in one of them, which is named.
    """
    try:
        return gather(columns)
    except pl.exceptions.InvalidOperationError:
        if len(columns) > 1:
            # Alone, the column at fault can be named.
            return [gather_by_column(gather, [facts])[0] for facts in columns]
        facts = columns[0]
        raise DataError(f'The column "{facts.name}" holds text.', expected=f"Expected a {facts.kind} column.") from None
