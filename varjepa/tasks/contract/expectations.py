"""A data contract as Great Expectations rules."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import great_expectations.expectations as gxe

from varjepa.amounts import counted
from varjepa.data.read.contract import ColumnContract, Contract
from varjepa.errors import listed, nearest
from varjepa.tasks.contract.row_rules import row_rules
from varjepa.tasks.contract.rule import Rule
from varjepa.tasks.contract.view import POSITION, ROW, Reading


def build_rules(contract: Contract, readings: Mapping[str, Reading]) -> list[Rule]:
    """Turns a contract into rules for a table.

    Args:
        contract: the contract of the table.
        readings: how the view shows the existing columns.

    Returns:
        One rule per expectation. A missing column has a single rule: that it must exist.

    Raises:
        ConfigError: a bound cannot be compared with its column.
    """
    rules = list(_table_rules(contract, readings))
    for name, promise in contract.columns.items():
        if name in readings:
            rules += _share_rules(promise, readings[name])
            rules += row_rules(promise, readings[name])
    return rules


def numbered(rules: Sequence[Rule]) -> list[Any]:
    """The expectations of the rules. Each carries the number of its rule, so that a result can be matched to the
    rule.
    """
    return [rule.expectation.copy(update={"meta": {"rule": number}}) for number, rule in enumerate(rules)]


def _table_rules(contract: Contract, readings: Mapping[str, Reading]) -> Iterator[Rule]:
    promised, least = contract.columns, contract.min_rows
    yield Rule(
        column="",
        says=f"at least {counted(least, 'row')}",
        expectation=gxe.ExpectTableRowCountToBeBetween(min_value=least),
        tell=lambda rows: f"it has {counted(rows, 'row')}, expected at least {least:,}",
    )
    extra = [name for name in readings if name not in promised and name != ROW]
    for name, promise in promised.items():
        if promise.required:
            hint = nearest(name, extra) or f"It has {listed(name for name in readings if name != ROW)}."
            yield _exists(name, readings, hint)
    if contract.extra_columns == "forbid":
        yield _no_extra(extra, readings)


def _exists(name: str, readings: Mapping[str, Reading], hint: str) -> Rule:
    return Rule(
        column=name,
        says="exists",
        expectation=gxe.ExpectColumnToExist(column=readings[name].raw if name in readings else name),
        tell=lambda _: f'it has no column "{name}" ({hint})',
    )


def _no_extra(extra: list[str], readings: Mapping[str, Reading]) -> Rule:
    promised = [column for name, reading in readings.items() if name not in extra for column in reading.columns]
    return Rule(
        column="",
        says="only the columns of the contract",
        expectation=gxe.ExpectTableColumnsToMatchSet(column_set=[*promised, POSITION], exact_match=True),
        tell=lambda _: f"it has columns that are not in the contract: {listed(extra)}",
    )


def _share_rules(promise: ColumnContract, reading: Reading) -> Iterator[Rule]:
    most = promise.max_missing
    if most < 1:
        yield Rule(
            column=reading.column,
            says=f"at most {100 * most:.4g}% missing",
            # Rounded because in floating point 1 - 0.7 is more than 3 of 10.
            expectation=gxe.ExpectColumnProportionOfNonNullValuesToBeBetween(
                column=reading.raw, min_value=round(1 - most, 12)
            ),
            tell=lambda present: (
                f'{100 * (1 - (present or 0)):.4g}% of "{reading.column}" is missing,'
                f" expected at most {100 * most:.4g}%"
            ),
        )
