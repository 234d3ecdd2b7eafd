"""Hashes of rows: different texts have different hashes."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varjepa.data.read.row_hash import row_hashes


@pytest.mark.slow
@given(st.lists(st.text(), min_size=2, max_size=40))
def test_different_texts_have_different_hashes(words: list[str]) -> None:
    hashes = row_hashes(pl.DataFrame({"word": words}, schema={"word": pl.String}).lazy())
    plain = [word for word in words if word.isalpha()]
    found = {word: int(number) for word, number in zip(words, hashes, strict=True) if word in plain}
    assert len(set(found.values())) == len(found)
