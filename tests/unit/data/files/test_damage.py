"""What a reader says of a damaged file becomes words that name the file."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import polars as pl
import pytest

from varjepa.data.files.damage import readable
from varjepa.errors import DataError
from varjepa.tasks.sources.failures import reaching


@pytest.mark.parametrize("guard", [readable, reaching])
def test_a_panic_of_the_reader_is_no_internal_error(guard: Callable[[str], AbstractContextManager[None]]) -> None:
    # As Polars does over a Parquet file with one byte turned (tables of `make fuzz`, seed 1634).
    with pytest.raises(DataError, match=r"people\.parquet cannot be read: left: 80"), guard("people.parquet"):
        raise pl.exceptions.PanicException("left: 80")
