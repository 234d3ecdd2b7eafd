"""The kind of a column, and text where numbers were declared."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tests.unit.data.small_tables import N
from varjepa.data.read.column_profile import profile
from varjepa.errors import DataError


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.arange(N) * 0.5, "numeric"),
        ([1.5, None] * (N // 2), "constant"),
        ([0, 1] * (N // 2), "boolean"),
        ([0.0, 1.0, None, 1.0] * (N // 4), "boolean"),
        ([True, False] * (N // 2), "boolean"),
        ([f"k{i}" for i in range(N)], "identifier"),
        (list(range(1000, 1000 + N)), "identifier"),
        (["x", "y"] * (N // 2), "categorical"),
        ([date(2020, 1, 1) + timedelta(days=i) for i in range(N)], "date"),
        ([datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(N)], "date"),
        ([None] * N, "empty"),
        ([float("nan"), float("inf")] * (N // 2), "empty"),
        ([7] * N, "constant"),
        ([[1, 2]] * N, "unsupported"),
        (["1", "2", "x", "y"] * (N // 4), "categorical"),
    ],
)
def test_kinds(values: object, kind: str) -> None:
    facts = profile(pl.DataFrame({"column": values}, strict=False).lazy())["column"]
    assert facts.kind == kind
    assert bool(facts.left_out) == (kind in ("constant", "empty", "identifier", "unsupported"))


@pytest.mark.parametrize(
    "texts", [[str(i * 0.37) for i in range(N - 1)], ["2015-03-01"] * (N // 2 - 1) + ["2016-01-01 10:00:00"] * (N // 2)]
)
def test_text_in_a_column_of_numbers_or_dates_is_an_error_that_shows_it(texts: list[str]) -> None:
    values = [*texts, "twelve"]
    with pytest.raises(DataError, match=r'"column" holds text in 1 of 200 cells, for example "twelve"'):
        profile(pl.DataFrame({"column": values}).lazy())
    assert profile(pl.DataFrame({"column": values}).lazy(), {"column": "categorical"})["column"].kind == "categorical"
