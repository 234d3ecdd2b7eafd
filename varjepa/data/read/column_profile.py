"""Inspects a table: profile and kind of every column."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

from varjepa.config.data import KIND
from varjepa.data.cells import NUMBER_SHARE, finite
from varjepa.data.read.identifiers import IDENTIFIER_ROWS, is_named_identifier, numbers_identify
from varjepa.errors import DataError

Kind = Literal["numeric", "categorical", "boolean", "date", "identifier", "constant", "empty", "nested"]

WHOLE = 2.0**53
"""Every float from here on is a whole number."""


@dataclass(frozen=True)
class ColumnProfile:
    """Statistics and kind of a column.

    Attributes:
        name: its name.
        dtype: as read.
        kind: inferred or declared.
        rows: number of rows inspected.
        missing: cells that are null, NaN or infinite.
        distinct: number of distinct values among the other cells.
        smallest: smallest finite value; None unless numbers or dates.
        largest: largest finite value; None unless numbers or dates.
        whole: whether all values are whole numbers.
    """

    name: str
    dtype: pl.DataType
    kind: Kind
    rows: int
    missing: int
    distinct: int
    smallest: Any
    largest: Any
    whole: bool

    @property
    def missing_share(self) -> float:
        """Share of missing cells."""
        return self.missing / self.rows if self.rows else 0.0

    @property
    def left_out(self) -> str:
        """Why the column is not a feature, in words; empty if it is one."""
        return {
            "constant": "it has a single value",
            "empty": "all its cells are missing",
            "identifier": "it identifies rows",
            "nested": f"values of type {self.dtype} are not supported",
        }.get(self.kind, "")

    def decided(self, identifiers: Collection[str]) -> "ColumnProfile":
        """The same with a verdict from more rows: whether the column identifies rows."""
        if self.kind != "identifier" or self.name in identifiers:
            return self
        return replace(self, kind="numeric" if self.dtype.is_numeric() else "categorical")


def profile(frame: pl.LazyFrame, declared: Mapping[str, KIND] | None = None) -> dict[str, ColumnProfile]:
    """Profiles every column in one pass.

    Args:
        frame: rows to inspect.
        declared: kinds given by the user; the others are inferred.

    Raises:
        DataError: a text column without a declared kind consists mostly of numbers.
    """
    schema = dict(frame.collect_schema())
    flat = {name: dtype for name, dtype in schema.items() if not dtype.is_nested()}
    facts = frame.select([part for name, dtype in flat.items() for part in _facts(name, dtype)]).collect()
    values = facts.row(0, named=True) if flat else {}
    rows = int(frame.select(pl.len()).collect().item())
    # One query gathers the facts of all columns. Its result has a column "fact:name" for each of them.
    by_column: dict[str, dict[str, Any]] = {name: {} for name in schema}
    for key, value in values.items():
        fact, _, name = key.partition(":")
        by_column[name][fact] = value
    kinds = declared or {}
    return {name: column_profile(name, dtype, rows, by_column[name], kinds.get(name)) for name, dtype in schema.items()}


def _facts(name: str, dtype: pl.DataType) -> list[pl.Expr]:
    column = finite(pl.col(name), dtype)
    facts = {"missing": column.null_count(), "distinct": column.drop_nulls().n_unique()}
    if dtype.is_numeric() or dtype.is_temporal():
        facts |= {"min": column.min(), "max": column.max()}
    if dtype.is_float():
        facts["whole"] = (column == column.round()).all()
    if dtype == pl.String:
        numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
        facts |= {"numbers": numbers.count(), "words": column.filter(numbers.is_null()).drop_nulls().first()}
    return [fact.alias(f"{key}:{name}") for key, fact in facts.items()]


def column_profile(
    name: str, dtype: pl.DataType, rows: int, facts: Mapping[str, Any], declared: KIND | None
) -> ColumnProfile:
    """The profile of a column, inferred from facts about its cells.

    Args:
        name: of the column.
        dtype: of the column.
        rows: number of rows inspected.
        facts: `missing` and `distinct`; for numbers and dates `min` and `max`; for floats `whole`; for text the number
            of cells that are `numbers`, and one of the other cells in `words`. Absent facts count as 0 or false.
        declared: kind given by the user.

    Raises:
        DataError: a text column without a declared kind consists mostly of numbers.
    """
    missing, distinct = facts.get("missing") or 0, facts.get("distinct") or 0
    whole = dtype.is_integer() or bool(facts.get("whole"))
    numbers, present = facts.get("numbers") or 0, rows - missing
    if declared is None and NUMBER_SHARE * present < numbers < present:
        raise DataError(
            f'The column "{name}" holds text in {present - numbers} of {present} cells, for example '
            f'"{facts["words"]}"; the rest are numbers.',
            expected="Expected numbers.",
            fix="Fix the data, add the text to data.na_values, let a contract quarantine those rows, or declare the "
            f"column categorical: --set data.kinds.{name}=categorical.",
        )
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        kind: Kind = "nested"
    elif present == 0:
        kind = "empty"
    elif distinct == 1:
        kind = "constant"
    else:
        kind = declared or _infer(name, dtype, present, distinct, facts, whole=whole)
    return ColumnProfile(name, dtype, kind, rows, missing, distinct, facts.get("min"), facts.get("max"), whole)


def never_identifies(cells: pl.Series) -> bool:
    """Whether some cells of a column show that it does not identify rows and is not empty, whatever the others are."""
    present, dtype = cells.drop_nulls(), cells.dtype
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object) or present.is_empty():
        return False
    if dtype.is_float():
        numbers = present.filter(present.is_finite())
        return bool((numbers != numbers.round()).any())
    return dtype in (pl.Date, pl.Datetime) or (not dtype.is_numeric() and present.n_unique() < len(present))


def _infer(
    name: str, dtype: pl.DataType, present: int, distinct: int, facts: Mapping[str, Any], *, whole: bool
) -> Kind:
    if dtype in (pl.Date, pl.Datetime):
        return "date"
    if distinct == 2 and (dtype.is_numeric() or dtype == pl.Boolean):
        return "boolean"
    if dtype.is_numeric():
        # Larger floats are whole whatever they measure, so that only their name can tell.
        told = dtype.is_integer() or max(abs(facts["min"]), abs(facts["max"])) < WHOLE or is_named_identifier(name)
        identify = (
            whole
            and told
            and numbers_identify(name, present=present, distinct=distinct, smallest=facts["min"], largest=facts["max"])
        )
        return "identifier" if identify else "numeric"
    return "identifier" if distinct == present >= IDENTIFIER_ROWS else "categorical"
