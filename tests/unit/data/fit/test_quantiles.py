"""Normal scores, interpolation between them, and order statistics of many rows."""

import numpy as np
import polars as pl
import pytest

from varjepa.data.encode.interpolation import interpolation
from varjepa.data.fit.normal_scores import normal_scores
from varjepa.data.read import order_statistics as places_by_rank
from varjepa.data.read.order_statistics import order_statistics


def test_normal_scores_put_ties_in_the_middle_and_rise() -> None:
    knots, scores = normal_scores(np.array([0.0] * 900 + list(range(1, 101))), 16)
    assert len(knots) == len(scores) <= 16
    assert knots[0] == 0.0
    assert scores[0] == pytest.approx(-0.1257, abs=1e-3)  # standard normal quantile of 0.45
    assert (np.diff(scores) > 0).all()
    assert (np.diff(knots) > 0).all()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_interpolation_is_numpys(scale: float) -> None:
    rng = np.random.default_rng(0)
    for sample in (rng.normal(size=5000), rng.exponential(size=5000), rng.integers(0, 9, 5000), np.array([0.0, 1.0])):
        knots, scores = normal_scores(sample * scale, 1000)
        values = np.concatenate(
            [sample * scale, rng.normal(size=500) * 3 * scale, knots, [np.nan, np.inf, -np.inf, 0.0]]
        )
        expected = np.interp(values, knots, scores)
        np.testing.assert_allclose(interpolation(knots, scores)(values), expected, rtol=1e-12, atol=1e-12)


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
