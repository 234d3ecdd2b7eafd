"""A known table, written in a random dialect, is read back equal. A damaged file is read or refused."""

import random
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.dialects import difference, random_table, random_writing, written
from varjepa.config import DataSection
from varjepa.data.files.damage import readable
from varjepa.data.files.opened import open_files
from varjepa.errors import DataError


@pytest.mark.slow
@given(st.integers(0, 2**32))
@settings(max_examples=100)
def test_tables_in_random_dialects_are_read_back_equal(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert not difference(seed, Path(folder))


@pytest.mark.slow
@given(st.integers(0, 2**32), st.binary(max_size=5), st.floats(0, 1), st.integers(0, 30))
@settings(max_examples=100)
def test_damaged_files_are_read_or_refused(seed: int, inserted: bytes, place: float, lost: int) -> None:
    draw = random.Random(seed)
    writing = random_writing(draw)
    content = written(random_table(draw, writing), writing, draw)
    at = int(place * len(content))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "t.csv"
        file.write_bytes(content[:at] + inserted + content[at + lost :])
        with suppress(DataError), readable(file):
            open_files(str(file), DataSection(path=str(file)), ()).frame.collect()
