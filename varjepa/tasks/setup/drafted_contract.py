"""Drafts a data contract from a table: what holds for its rows, with room for others."""

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import polars as pl

from varjepa.data.cells import as_text, column
from varjepa.data.read.column_profile import ColumnProfile
from varjepa.data.read.contract import ColumnContract, Contract, dump_contract
from varjepa.tasks.setup.natural_bounds import is_year, natural_bounds
from varjepa.tasks.setup.repeated_keys import is_key

MOST_VALUES = 60
"""The draft contract lists the allowed values of a column only up to this many categories."""

MARGIN = 0.1
"""Draft ranges are wider than the observed range by this share of it, on both sides."""


def contract_text(
    frame: pl.LazyFrame, rows: int, profiles: Mapping[str, ColumnProfile], beyond: Mapping[str, int]
) -> str:
    """The draft as YAML, with what its rules mean.

    Args:
        frame: the table, its cells read.
        rows: how many it has.
        profiles: of its columns.
        beyond: columns with numbers beyond all measure -> how many.
    """
    drafted = {
        name: column_contract(frame.select(column(name)), facts)
        for name, facts in profiles.items()
        if facts.kind != "unsupported"
    }
    # Numbers beyond all measure count as missing; as keys, which are texts, they may stand twice.
    drafted |= {
        name: drafted[name].model_copy(update={"unique": False})
        for name in beyond if name in drafted and drafted[name].kind == "identifier"
    }  # fmt: skip
    contract = Contract(min_rows=max(1, rows // 2), columns=drafted)
    head = (
        f"# Data contract, drafted from {rows:,} rows. It describes these rows, which may be wrong: review it.\n"
        "# Row rules: nullable, min, max, values, unique. Rows that break one go into quarantine.\n"
        "# Table rules: max_missing, min_rows, missing columns, extra_columns. Breaking one stops\n"
        "# the job. So does a share of rows in quarantine above max_quarantined.\n"
    )
    return head + dump_contract(contract)


def column_contract(column: pl.LazyFrame, facts: ColumnProfile) -> ColumnContract:
    """Draft rules for one column, from its profile and, for few categories, from its cells."""
    missing = facts.missing_share
    promised: dict[str, Any] = {"kind": facts.kind}
    two_numbers = facts.kind == "boolean" and facts.dtype.is_numeric() and (facts.smallest, facts.largest) != (0, 1)
    if facts.kind in ("constant", "empty") or two_numbers:
        promised["kind"] = "numeric" if facts.dtype.is_numeric() else "categorical"
    if facts.kind != "empty":
        promised["nullable"] = missing > 0
    if 0 < missing < 1:
        promised["max_missing"] = min(1.0, math.ceil(200 * missing + 5) / 100)
    if facts.kind == "identifier":
        promised["unique"] = facts.distinct == facts.rows - facts.missing
    elif promised["kind"] in ("numeric", "date") and facts.smallest is not None and not is_key(facts):
        promised["min"], promised["max"] = possible_range(facts)
    elif facts.kind == "categorical" and facts.distinct <= MOST_VALUES:
        values = column.select(as_text(facts.name, facts.dtype)).drop_nulls().unique().collect(engine="streaming")
        promised["values"] = tuple(values.to_series().sort())
    return ColumnContract(**promised)


def possible_range(facts: ColumnProfile) -> tuple[Any, Any]:
    """The drafted range of a column, no wider than what its name allows: there is no thirteenth month.

    Dates and years have no largest value: next year's rows would go into quarantine.
    """
    low, high = draft_range(facts.smallest, facts.largest, whole=facts.whole)
    if isinstance(facts.smallest, date):
        return low, high
    if is_year(facts.name, facts.smallest, facts.largest, whole=facts.whole):
        return low, None
    bounds = natural_bounds(facts.name, facts.smallest, facts.largest, whole=facts.whole)
    return (low, high) if bounds is None else (max(low, bounds[0]), min(high, bounds[1]))


def draft_range(smallest: Any, largest: Any, *, whole: bool) -> tuple[Any, Any]:
    """The observed range, widened; of dates without an end. A range without negative numbers gets no negative bound.

    Examples:
        >>> draft_range(1, 101, whole=True)
        (0, 111)
        >>> draft_range(0.1234567891, 0.1234567891, whole=False)
        (0.1234567891, 0.123457)
        >>> [str(end) for end in draft_range(date(2020, 1, 1), date(2020, 1, 31), whole=False)]
        ['2019-12-17', 'None']
    """
    if isinstance(smallest, date):
        days = [value.date() if isinstance(value, datetime) else value for value in (smallest, largest)]
        # No further than dates can say.
        return days[0] - min((days[1] - days[0]) / 2, days[0] - date.min), None
    reach = MARGIN * (largest - smallest)
    low = smallest - reach if smallest < 0 else max(0, smallest - reach)
    high = largest + reach
    if whole:
        return min(math.floor(low), smallest), max(math.ceil(high), largest)
    digits = max(0, 3 - math.floor(math.log10(reach))) if reach > 0 else 6
    # Rounding may not cut off what was observed, such as the only value of a column.
    return min(round(low, digits), smallest), max(round(high, digits), largest)
