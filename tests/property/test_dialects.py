"""A known table, written in a random dialect, is read back equal."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.dialects import difference


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_tables_in_random_dialects_are_read_back_equal(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert not difference(seed, Path(folder))
