"""Cells to numbers and codes and back: missing, rare, unseen and far values, dates, booleans."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from tests.unit.data.small_tables import N, fitted, frame
from varjepa.config import DataSection
from varjepa.config.data import ColumnSection
from varjepa.data.encode.features import CategoricalFeature
from varjepa.data.encode.tensors import to_tensors
from varjepa.errors import DataError


def test_codes_missing_rare_unseen_and_known() -> None:
    words = ["common"] * 100 + ["usual"] * 96 + ["rare"] * 3 + [None]
    preprocessor = fitted(frame(word=words), min_count=5)
    new = frame(word=["common", "usual", "rare", "never seen", None] * (N // 5))
    codes = preprocessor.encode(new.lazy()).collect()["word"].head(5).to_list()
    assert codes == [2, 3, 1, 1, 0]
    assert preprocessor.sizes.cardinalities == [5, 4]


@pytest.mark.parametrize("stored", [pl.Int64, pl.Float64, pl.String, pl.Boolean])
def test_booleans_read_the_same_however_they_are_stored(stored: type[pl.DataType]) -> None:
    preprocessor = fitted(frame(flag=[0, 0, 1, 0] * (N // 4)))
    new = frame(flag=pl.Series([1, 0, None, 1] * (N // 4)).cast(stored))
    assert preprocessor.encode(new.lazy()).collect()["flag"].head(4).to_list() == [3, 2, 0, 3]
    no_words = frame(text=new["flag"]) if stored == pl.Boolean else frame(text=["x", "y", None, "1"] * (N // 4))
    assert preprocessor.encode(no_words.with_columns(flag=1).lazy()).collect()["text"].head(4).to_list() == [1, 1, 0, 1]


def test_standard_and_quantile_transformations() -> None:
    rng = np.random.default_rng(1)
    skewed = np.exp(2 * rng.normal(size=N))
    table = frame(skewed=skewed)
    by_name = {f.name: f for f in fitted(table).numeric}
    assert by_name["number"].transform == "standard"
    assert by_name["skewed"].transform == "quantile"
    encoded = fitted(table).encode(table.lazy()).collect()
    for name in ("number", "skewed"):
        assert abs(encoded[name].mean()) < 0.05
        assert abs(encoded[name].std() - 1) < 0.05
    assert (encoded["skewed"].arg_sort() == table["skewed"].arg_sort()).all()
    far = frame(skewed=np.full(N, 1e12), number=np.full(N, -1e12))
    clipped = fitted(table).encode(far.lazy()).collect()
    assert clipped["number"][0] == -8.0
    assert clipped["skewed"][0] == pytest.approx(encoded["skewed"].max(), abs=1e-6)


def test_missing_values_of_every_sort_are_unobserved() -> None:
    preprocessor = fitted(frame(more=np.linspace(0, 1, N)))
    encoded = preprocessor.encode(frame(more=[None, float("nan"), float("-inf"), 2.5] * (N // 4)).lazy()).collect()
    observed = to_tensors(encoded, preprocessor).observed[:, preprocessor.names.index("more")]
    assert observed[:4].tolist() == [False, False, False, True]


def test_dates_become_days() -> None:
    days = [date(2020, 1, 1) + timedelta(days=i) for i in range(N)]
    preprocessor = fitted(frame(day=days))
    feature = next(f for f in preprocessor.numeric if f.name == "day")
    assert feature.kind == "date"
    assert feature.mean == pytest.approx(18262 + (N - 1) / 2)
    as_text = preprocessor.encode(frame(day=[str(day) for day in days]).lazy()).collect()
    assert as_text.equals(preprocessor.encode(frame(day=days).lazy()).collect())


def test_a_missing_feature_column_is_named() -> None:
    with pytest.raises(DataError, match=r'The column "number" is missing. Did you mean "numbers"'):
        fitted(frame()).encode(frame().rename({"number": "numbers"}).lazy())


def test_decoded_cells_are_the_column_again() -> None:
    rng = np.random.default_rng(0)
    table = frame(
        whole=rng.integers(-5, 500, N), tiny=pl.Series(rng.integers(0, 9, N), dtype=pl.Int8),
        cents=(rng.exponential(30, N)).round(2), coin=rng.random(N) < 0.5, bit=rng.integers(2, size=N),
        day=[date(2020, 1, 1) + timedelta(days=int(i)) for i in rng.integers(0, 900, N)],
        moment=pl.Series(rng.integers(0, 9000, N) * 3600 * 10**6).cast(pl.Datetime("us")),
        code=rng.choice(["x", "y"], N), number_code=pl.Series(rng.integers(3, size=N), dtype=pl.Int16),
    )  # fmt: skip
    preprocessor = fitted(table, DataSection(name="sim", kinds={"number_code": "categorical"}))
    encoded = to_tensors(preprocessor.encode(table.lazy()).collect(), preprocessor)
    numbers = [f.decode(encoded.numeric[:, j].double().numpy()) for j, f in enumerate(preprocessor.numeric)]
    columns = [f.column(values) for f, values in zip(preprocessor.numeric, numbers, strict=True)]
    for j, feature in enumerate(preprocessor.categorical):
        if feature.name not in preprocessor.sources:
            columns += feature.decode(encoded.codes[:, j].numpy(), {})
    found = pl.DataFrame(columns)
    assert set(found.columns) == set(table.columns) == set(preprocessor.order)
    for name in table.columns:
        assert found[name].dtype == table[name].dtype, name
        if name in ("number", "moment"):  # knots and 32 bits
            gap = (found[name].cast(pl.Float64) - table[name].cast(pl.Float64)).abs().max()
            assert gap < (1e-5 if name == "number" else 3600e6), name
        elif name == "cents":
            assert (found[name] - table[name]).abs().max() < 0.02
            assert ((found[name] * 100).round(6) % 1 == 0).all()
        else:
            assert found[name].equals(table[name]), name
    assert list(preprocessor.order) == table.columns
    # A file may hold as text what were dates in training; text it stays.
    place, day = next((j, f) for j, f in enumerate(preprocessor.numeric) if f.name == "day")
    assert day.column(numbers[place], pl.String()).equals(table["day"].cast(pl.String))


def test_values_beyond_the_training_range_are_measured_in_deviations() -> None:
    preprocessor = fitted(frame(score=np.arange(N) % 11 * 1.0))
    feature = next(f for f in preprocessor.numeric if f.name == "score")
    new = pl.DataFrame({"score": [-1.0, 0.0, 10.0, 10.0 + 2 * feature.std, None]})
    beyond = new.select(feature.outside(new.schema)).to_series().to_list()
    assert beyond == pytest.approx([1 / feature.std, 0, 0, 2, 0], abs=1e-5)


def test_blank_text_and_gap_words_are_missing_whatever_opened_the_table() -> None:
    told = ColumnSection(gaps=("refused",))
    feature = CategoricalFeature(name="a", dtype="String", kind="categorical", vocabulary=("x", "y"), spelling=told)
    table = pl.DataFrame({"a": ["x", "", "  ", "Refused", "z", None]})
    assert table.select(feature.encode(dict(table.schema)))["a"].to_list() == [2, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(("stored", "expected"), [(pl.UInt8, [0, 3, 255]), (pl.Int64, [-5, 3, 1000]),
                                                  (pl.UInt64, [0, 3, 1000])])  # fmt: skip
def test_a_filled_cell_fits_a_column_of_fewer_bits_than_in_training(stored: type[pl.DataType], expected: list) -> None:
    feature = fitted(frame(whole=np.arange(N) % 51 * 20 - 5)).numeric
    (whole,) = (each for each in feature if each.name == "whole")
    assert whole.column(np.array([-5.0, 3.2, 1000.0]), stored()).to_list() == expected
    assert whole.column(np.array([1e30, np.nan]), stored())[1] is None
    assert whole.column(np.array([24.0, np.nan]), pl.String()).to_list() == ["24", None]
    assert whole.column(np.array([24.0, 1e30]), pl.String()).to_list() == ["24.0", "1e+30"]
