"""Which columns get bins, and where their ends lie."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.data.small_tables import N, fitted, frame
from varjepa.data.encode.features import NumericFeature
from varjepa.data.fit.spiked_bins import SPIKED, spiked_bins

RNG = np.random.default_rng(0)

AMOUNTS = np.where(np.arange(N) % 10 == 0, RNG.lognormal(7, 1, N).round(2), 0.0)


@given(
    values=st.lists(st.sampled_from([0.0, -0.0, 1.0, 40.0, 1e300, -1e-300]) | st.floats(-1e9, 1e9), min_size=1),
    n_bins=st.integers(0, 40),
)
def test_ends_rise_among_the_values_and_every_common_value_is_one(values: list[float], n_bins: int) -> None:
    ends, cells = spiked_bins(np.array(values), n_bins), np.array(values)
    distinct, counts = np.unique(cells, return_counts=True)
    common = counts * n_bins > len(cells)
    assert bool(ends) == (len(distinct) > 2 and counts[common].sum() >= SPIKED * len(cells))
    if ends:
        assert np.diff(ends).min() > 0
        assert len(ends) <= n_bins + 1
        assert set(distinct[common]) <= set(ends) <= set(distinct)
        assert (ends[0], ends[-1]) == (distinct[0], distinct[-1])


def features(table: pl.DataFrame, **settings: object) -> dict[str, NumericFeature]:
    return {feature.name: feature for feature in fitted(table, **settings).numeric}


def test_columns_with_spikes_alone_have_bins() -> None:
    found = features(frame(amount=AMOUNTS, smooth=RNG.lognormal(7, 1, N), hours=RNG.choice([40, 38, 20], N)))
    assert {name for name, feature in found.items() if feature.bins} == {"amount", "hours"}
    assert len(found["hours"].bins) == 3


def test_no_column_has_bins_where_none_are_wanted() -> None:
    assert not any(feature.bins for feature in features(frame(amount=AMOUNTS), n_bins=0).values())


@pytest.mark.parametrize("numeric", ["standard", "quantile", "auto"])
def test_ends_are_encoded_as_the_cells_are(numeric: str) -> None:
    table = frame(amount=AMOUNTS)
    feature = features(table, numeric=numeric, clip=100.0)["amount"]
    encoded = table.select(feature.encode(table.schema)).to_series()
    assert set(feature.bins) <= set(encoded.to_list())
    assert (feature.bins[0], feature.bins[-1]) == (encoded.min(), encoded.max())


def test_ends_beyond_the_cut_are_one() -> None:
    feature = features(frame(amount=AMOUNTS), numeric="standard", clip=1.0)["amount"]
    assert feature.bins[-1] == 1.0
    assert np.diff(feature.bins).min() > 0


def test_gaps_count_for_nothing_and_dates_have_spikes_too() -> None:
    days = [None if k % 2 else date(9999, 12, 31) if k % 3 else date(2026, 1, 1 + k % 28) for k in range(N)]
    assert len(features(frame(until=days))["until"].bins) > 2
