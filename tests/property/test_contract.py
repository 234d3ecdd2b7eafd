"""Rows of any table are either clean or quarantined, in their order."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.flows.test_contract import check

WORDS = st.sampled_from(["1", "-3.5", " 7 ", "1e2", "12abc", "", "?", "inf", ".", "5.", None])

ROWS = st.lists(
    st.tuples(WORDS, st.one_of(st.none(), st.integers(-5, 5)), st.sampled_from("abc")), min_size=2, max_size=40
)


@pytest.mark.slow
@settings(max_examples=6)
@given(ROWS)
def test_every_row_is_either_clean_or_quarantined_in_its_order(tmp_path_factory, rows):
    words, numbers, letters = (list(cells) for cells in zip(("1", 0, "a"), *rows, strict=True))
    validation = check(
        tmp_path_factory.mktemp("rows"),
        {"word": words, "number": pl.Series(numbers, dtype=pl.Int64), "letter": letters},
        columns={
            "word": {"kind": "numeric"},
            "number": {"kind": "numeric", "min": -2, "nullable": False},
            "letter": {"kind": "categorical", "values": ["a", "b"]},
        },
        max_quarantined=1,
    )
    broken = [
        row
        for row, (word, number, letter) in enumerate(zip(words, numbers, letters, strict=True))
        if word in ("12abc", "?", "inf", ".") or number is None or number < -2 or letter == "c"
    ]
    clean, quarantine = pl.read_parquet(validation.clean), pl.read_parquet(validation.quarantine)
    assert quarantine["__row__"].to_list() == broken
    assert clean["__row__"].to_list() == [row for row in range(len(words)) if row not in broken]
    assert clean["word"].to_list() == [float(words[row]) if words[row] else None for row in clean["__row__"]]
    assert quarantine["word"].to_list() == [words[row] for row in broken]
