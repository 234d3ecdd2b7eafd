"""Drafted ranges stay possible, and dates in the future are worth a word."""

import re
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from varjepa.data.read.column_profile import profile
from varjepa.tasks.setup.drafted_contract import column_contract, draft_range
from varjepa.tasks.setup.natural_bounds import NATURAL, future_words, natural_bounds

DAYS = pl.Series("day", [date(2023, 1, 1) + timedelta(3 * row) for row in range(300)])


@pytest.mark.parametrize(
    ("name", "low", "high", "whole", "expected"),
    [
        ("month", 1, 12, True, (1, 12)), ("Month", 3, 9, True, (1, 12)), ("dep_month", 1, 12, True, (1, 12)),
        ("birthMonth", 1, 12, True, (1, 12)), ("day", 1, 31, True, (1, 31)), ("hour", 0, 23, True, (0, 24)),
        ("DayOfWeek", 1, 7, True, (0, 7)), ("minute", 0, 59, True, (0, 60)), ("pct_paid", 0.5, 99.5, False, (0, 100)),
        ("share", 0.01, 0.99, False, (0, 1)), ("lat", -33.9, 51.5, False, (-90, 90)), ("lng", 0.1, 179.0, False,
                                                                                    (-180, 180)),
        ("months_employed", 0, 400, True, None), ("days_late", -3, 900, True, None), ("month", 1.5, 11.5, False, None),
        ("Monat", 1, 12, True, (1, 12)), ("Bestell_Monat", 2, 11, True, (1, 12)), ("Mês", 1, 12, True, (1, 12)),
        ("día", 1, 30, True, (1, 31)), ("Rabatt (Prozent)", 0.5, 30.0, False, (0, 100)), ("KW", 1, 52, True, (0, 53)),
        ("LängenGrad", 6.0, 15.0, False, (-180, 180)), ("Montage", 1, 12, True, None), ("messung", 1, 12, True, None),
        ("amount", 1, 12, True, None), ("monthly", 1, 12, True, None), ("", 1, 12, True, None),
    ],
)  # fmt: skip
def test_names_that_bound_their_values(name, low, high, whole, expected) -> None:
    assert natural_bounds(name, low, high, whole=whole) == expected


@given(st.sampled_from(NATURAL), st.data())
def test_bounded_ranges_hold_what_was_seen_and_nothing_impossible(bounds, data) -> None:
    name = re.split(r"[|]", bounds.name)[0].replace("?", "")
    ends = st.integers(int(bounds.low), int(bounds.high))
    smallest, largest = sorted((data.draw(ends), data.draw(ends)))
    found = natural_bounds(name, smallest, largest, whole=True)
    assert found is not None
    low, high = draft_range(smallest, largest, whole=True)
    assert max(low, found[0]) <= smallest <= largest <= min(high, found[1])
    assert found[0] >= bounds.low
    assert found[1] <= bounds.high


@given(st.dates(), st.dates())
def test_only_later_dates_are_in_the_future(largest: date, today: date) -> None:
    assert bool(future_words("when", largest, whole=False, today=today)) == (largest > today)


@given(st.integers(-10_000, 10_000))
def test_only_years_are_in_the_future(largest: int) -> None:
    today = date(2026, 11, 29)
    for name in ("YearBuilt", "Baujahr", "año_venta"):
        assert bool(future_words(name, largest, whole=True, today=today)) == (2026 < largest <= 3000)
    assume(largest > 0)
    assert not future_words("price", largest, whole=True, today=today)


@pytest.mark.parametrize("column", [DAYS, DAYS.dt.year().alias("year"), DAYS.cast(pl.Datetime("us"))])
def test_rows_of_later_years_keep_the_drafted_contract(column: pl.Series) -> None:
    """A largest date, half a range after the newest row, sent all rows of a scheduled run into quarantine by then."""
    rows = pl.DataFrame([column]).lazy()
    drafted = column_contract(rows, profile(rows)[column.name])
    assert drafted.max is None
    assert drafted.min is not None
