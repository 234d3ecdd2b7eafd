"""Inspects a table: profile and kind of every column."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

from varjepa.config.data import KIND
from varjepa.data.cells import NUMBER_SHARE, column, finite, nameless, reads_plainly
from varjepa.data.read.identifiers import IDENTIFIER_ROWS, MOST_REPEATS, is_named_identifier, numbers_identify
from varjepa.data.read.text_columns import OFTEN_NEW, are_keys, sketch
from varjepa.errors import DataError

Kind = Literal["numeric", "categorical", "boolean", "date", "text", "identifier", "constant", "empty", "unsupported"]

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
            "unsupported": f"values of type {self.dtype} are not supported",
        }.get(self.kind, "")

    def decided(self, identifiers: Mapping[str, KIND]) -> "ColumnProfile":
        """The same with a verdict from more rows, which kinds are declared: whether the column identifies rows."""
        if self.kind != "identifier" or identifiers.get(self.name) == "identifier":
            return self
        return replace(self, kind="numeric" if self.dtype.is_numeric() else "text")


def profile(frame: pl.LazyFrame, declared: Mapping[str, KIND] | None = None) -> dict[str, ColumnProfile]:
    """Profiles every column in one pass.

    Args:
        frame: rows to inspect.
        declared: kinds given by the user; the others are inferred.

    Raises:
        DataError: a text column without a declared kind consists mostly of numbers or dates.
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
    profiles = {}
    for name, dtype in schema.items():
        found = by_column[name]
        if is_text(dtype) and found["distinct"] > OFTEN_NEW * (rows - found["missing"]):
            found["sketch"] = sketch(frame.select(column(name)).collect().to_series())
        profiles[name] = column_profile(name, dtype, rows, found, kinds.get(name))
    return profiles


def is_text(dtype: pl.DataType) -> bool:
    """Whether a column of this type holds text."""
    return dtype in (pl.String, pl.Categorical, pl.Enum)


def _facts(name: str, dtype: pl.DataType) -> list[pl.Expr]:
    cells = finite(column(name), dtype)
    facts = {"missing": cells.null_count(), "distinct": cells.drop_nulls().n_unique()}
    if dtype.is_numeric() or dtype.is_temporal():
        facts |= {"min": cells.min(), "max": cells.max()}
    if dtype.is_float():
        facts["whole"] = (cells == cells.round()).all()
    if dtype == pl.String:
        plain = reads_plainly(cells)
        facts |= {"numbers": plain.sum(), "words": cells.filter(~plain).first()}
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
            of cells that are `numbers` or dates, one of the other cells in `words`, and where most cells differ the
            `sketch` of the distinct values. Absent facts count as 0, false or nothing.
        declared: kind given by the user.

    Raises:
        DataError: a text column without a declared kind consists mostly of numbers or dates.
    """
    missing, distinct = facts.get("missing") or 0, facts.get("distinct") or 0
    whole = dtype.is_integer() or bool(facts.get("whole"))
    numbers, present = facts.get("numbers") or 0, rows - missing
    if declared is None and NUMBER_SHARE * present < numbers < present:
        raise DataError(
            f'The column "{name}" holds text in {present - numbers} of {present} cells, for example '
            f'"{facts["words"]}"; the rest are numbers or dates.',
            expected="Expected numbers or dates.",
            fix="Fix the data, add the text to data.na_values, let a contract quarantine those rows, or declare the "
            f"column categorical: --set data.kinds.{name}=categorical.",
        )
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        kind: Kind = "unsupported"
    elif present == 0:
        kind = "empty"
    elif distinct == 1:
        kind = "constant"
    else:
        kind = declared or _infer(name, dtype, present, distinct, facts, whole=whole)
    return ColumnProfile(name, dtype, kind, rows, missing, distinct, facts.get("min"), facts.get("max"), whole)


def never_identifies(cells: pl.Series) -> bool:
    """Whether the first cells of a column show that it does not identify rows, is no text and is not empty.

    Numbers and dates show it whatever the other cells are. Of text, at least half of the cells repeat.
    """
    present, dtype = nameless(cells).drop_nulls(), cells.dtype
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object) or present.is_empty():
        return False
    if dtype.is_float():
        numbers = present.filter(present.is_finite())
        return bool((numbers != numbers.round()).any())
    if dtype in (pl.Date, pl.Datetime):
        return True
    return not dtype.is_numeric() and present.n_unique() <= OFTEN_NEW * len(present)


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
    if not is_text(dtype) or present < IDENTIFIER_ROWS or distinct <= OFTEN_NEW * present:
        return "categorical"
    few_repeats = present - distinct <= MOST_REPEATS * present
    return "identifier" if few_repeats and are_keys(name, facts.get("sketch") or ()) else "text"
