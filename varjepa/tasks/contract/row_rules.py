"""Row rules: the expectation, the SQL condition for rows that break it, and the reason in words."""

from collections.abc import Iterator
from ctypes import c_float
from datetime import date, datetime, time, timedelta
from math import isfinite
from sys import float_info

import great_expectations.expectations as gxe

from varjepa.data.read.contract import ColumnContract
from varjepa.errors import ConfigError, listed
from varjepa.tasks.contract.rule import Rule
from varjepa.tasks.contract.view import KINDS, Reading, literal, quoted, select


def row_rules(promise: ColumnContract, reading: Reading) -> Iterator[Rule]:
    """Yields the row rules of one column.

    Raises:
        ConfigError: a bound cannot be compared with the column.
    """
    if not promise.nullable:
        yield _not_missing(reading)
    if reading.unread:
        yield _readable(reading, promise.kind)
    if promise.kind == "numeric" and reading.may_be_infinite:
        yield _finite(reading)
    if promise.min is not None or promise.max is not None:
        yield _bounds(reading, promise)
    if promise.values is not None:
        yield _allowed(reading, promise.values)
    if promise.unique:
        yield _unique(reading)


def _not_missing(reading: Reading) -> Rule:
    return Rule(
        column=reading.column,
        says="never missing",
        expectation=gxe.ExpectColumnValuesToNotBeNull(column=reading.raw),
        broken=f"{quoted(reading.raw)} IS NULL",
        reason=literal(f"{reading.column} is missing"),
    )


def _readable(reading: Reading, kind: str) -> Rule:
    return Rule(
        column=reading.column,
        says=f"holds {KINDS[kind]}",
        expectation=gxe.ExpectColumnValuesToBeNull(column=reading.unread),
        broken=f"{quoted(reading.unread)} IS NOT NULL",
        reason=_reason(reading, f", not {KINDS[kind]}", quote=True),
    )


def _finite(reading: Reading) -> Rule:
    return Rule(
        column=reading.column,
        says="holds finite numbers",
        expectation=gxe.ExpectColumnValuesToBeBetween(
            column=reading.value, min_value=-float_info.max, max_value=float_info.max
        ),
        broken=f"isinf({quoted(reading.value)})",
        reason=_reason(reading, ", not a finite number"),
    )


def _bounds(reading: Reading, promise: ColumnContract) -> Rule:
    _check_bounds(reading.column, promise)
    value, least, most = quoted(reading.value), promise.min, promise.max
    if reading.single:
        least, most = _single(least), _single(most)
    below, above = ("before", "after") if promise.kind == "date" else ("below", "above")
    # A day includes all its hours, so "at most the 3rd" means "before the 4th". The calendar has no day after its last.
    is_day = isinstance(most, date) and most != date.max
    last = datetime.combine(date.max, time.max)
    upper = last if most == date.max else most + timedelta(days=1) if isinstance(most, date) else most
    cases = []
    if least is not None:
        told = _plain(promise.min)
        cases.append((f"at least {told}", f"{value} < {_constant(least)}", f", {below} {told}"))
    if most is not None and upper is not None:
        beyond = f"{value} {'>=' if is_day else '>'} {_constant(upper)}"
        cases.append((f"at most {_plain(promise.max)}", beyond, f", {above} {_plain(promise.max)}"))
    reasons = " ".join(f"WHEN {broken} THEN {_reason(reading, problem)}" for _, broken, problem in cases)
    return Rule(
        column=reading.column,
        says=" and ".join(says for says, _, _ in cases),
        expectation=gxe.ExpectColumnValuesToBeBetween(
            column=reading.value, min_value=_like(least, upper), max_value=upper, strict_max=is_day
        ),
        broken=" OR ".join(broken for _, broken, _ in cases),
        reason=f"CASE {reasons} END",
    )


def _single(bound: float | date | None) -> float | date | None:
    """A bound as a column of 32-bit floats holds it, so that the value 0.1 is not above 0.1."""
    if not isinstance(bound, int | float):
        return bound
    near = c_float(bound).value
    return near if isfinite(near) else bound


def _check_bounds(column: str, promise: ColumnContract) -> None:
    is_date = promise.kind == "date"
    bounds = [bound for bound in (promise.min, promise.max) if bound is not None]
    for bound in bounds:
        if isinstance(bound, date) != is_date:
            raise ConfigError(
                f'The data contract sets {bound} as a bound of the {promise.kind} column "{column}".',
                expected="Expected a date." if is_date else "Expected a number.",
            )
    if len(bounds) == 2 and bounds[0] > bounds[1]:  # type: ignore[operator]
        raise ConfigError(f'The data contract sets min {bounds[0]} above max {bounds[1]} for the column "{column}".')


def _allowed(reading: Reading, values: tuple[str, ...]) -> Rule:
    value = quoted(reading.value)
    return Rule(
        column=reading.column,
        says=f"one of {listed(values, 5)}",
        expectation=gxe.ExpectColumnValuesToBeInSet(column=reading.value, value_set=list(values)),
        broken=f"{value} NOT IN ({', '.join(map(literal, values))})" if values else f"{value} IS NOT NULL",
        reason=_reason(reading, f", not one of {listed(values, 5)}", quote=True),
    )


def _unique(reading: Reading) -> Rule:
    value = quoted(reading.value)
    return Rule(
        column=reading.column,
        says="no value twice",
        expectation=gxe.ExpectColumnValuesToBeUnique(column=reading.value),
        broken=f"{value} IN ({select(value, f'WHERE {value} IS NOT NULL GROUP BY ALL HAVING count(*) > 1')})",
        reason=_reason(reading, ", which occurs more than once"),
    )


def _reason(reading: Reading, problem: str, *, quote: bool = False) -> str:
    """SQL text such as `age is 212, above 120`."""
    mark = '"' if quote else ""
    return f"concat({literal(f'{reading.column} is {mark}')}, {reading.shown}, {literal(f'{mark}{problem}')})"


def _like(least: float | date | None, upper: float | date | None) -> float | date | None:
    """The lower bound in the type of the upper one, as the library compares them."""
    if isinstance(upper, datetime) and isinstance(least, date):
        return datetime.combine(least, time.min)
    return least


def _plain(bound: float | date | None) -> str:
    return f"{bound:.15g}" if isinstance(bound, float) else str(bound)


def _constant(bound: float | date) -> str:
    if isinstance(bound, datetime):
        return f"TIMESTAMP '{bound}'"
    return f"DATE '{bound}'" if isinstance(bound, date) else f"CAST('{bound!r}' AS DOUBLE)"
