"""Order statistics of many rows."""

import numpy as np
import polars as pl
import pytest

from varjepa.data.read import order_statistics as places_by_rank
from varjepa.data.read.order_statistics import order_statistics


@pytest.mark.parametrize("kind", ["sorted", "shuffled", "ties", "periodic", "gaps", "date"])
@pytest.mark.parametrize("rows", [10, 999, 10_000])
def test_order_statistics_are_those_of_the_sorted_column(kind: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places_by_rank, "SAMPLE_ROWS", 100)  # of 10,000 rows every hundredth: the period of "periodic"
    random, place = np.random.default_rng(0), np.arange(rows)
    values = pl.Series("x", {
        "sorted": place, "shuffled": random.permutation(rows), "ties": random.integers(3, size=rows),
        "periodic": place % 100, "gaps": random.choice([0.0, 1e9, np.inf], rows),
        "date": random.integers(9999, size=rows),
    }[kind])  # fmt: skip
    values = values.cast(pl.Date) if kind == "date" else values
    ranks = [0, rows // 2, int(0.9 * rows), rows - 1]
    found = order_statistics(values.to_frame().lazy(), ranks, rows)
    assert found == values.sort()[ranks].to_list()
