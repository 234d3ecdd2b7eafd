"""Damage leaves rows, columns and everything that is not damaged as they are, and repeats."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.flows.conftest import person_table
from varjepa.inference.damaged_rows import DAMAGES, damaged_rows

KINDS = {"age": "numeric", "income per-year": "numeric", "job": "categorical", "member": "categorical", "since": "date"}


@pytest.mark.parametrize("seed", range(3 * len(DAMAGES)))
def test_some_columns_are_damaged_and_the_others_are_not(seed: int) -> None:
    table = person_table(400)
    damaged = damaged_rows(table, KINDS, seed)
    assert_frame_equal(damaged, damaged_rows(table, KINDS, seed))
    assert (damaged.columns, damaged.height) == (table.columns, table.height)
    changed = [name for name in table.columns if not damaged[name].equals(table[name].cast(damaged.schema[name]))]
    assert 1 <= len(changed) <= len(KINDS) // 2
    assert set(changed) <= set(KINDS)
    for name in changed:
        if table.schema[name].is_numeric():
            assert damaged[name].null_count() >= table[name].null_count() or seed % len(DAMAGES) == 2
        else:  # nothing is made up
            assert set(damaged[name]) <= {*table[name], None}


@given(st.integers(0, 30), st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=6))
def test_any_cells_and_any_names_can_be_damaged(seed: int, cells: list[float | None]) -> None:
    table = pl.DataFrame(
        {"^a.*$": pl.Series(cells, dtype=pl.Float64), "b": pl.Series([None] * len(cells), dtype=pl.Int8)}
    )
    if not cells:
        return
    damaged = damaged_rows(table, {"^a.*$": "numeric", "b": "numeric"}, seed)
    assert (damaged.columns, damaged.height) == (table.columns, table.height)
