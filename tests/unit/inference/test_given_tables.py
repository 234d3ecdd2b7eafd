"""Columns as pandas and NumPy hold them, which Polars holds in other ways."""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests.unit.inference.test_estimator import TINY
from varjepa import VarTJEPA
from varjepa.config import DataSection
from varjepa.data.read.sources import open_path
from varjepa.errors import DataError
from varjepa.tasks.registry.served_model import to_polars

N = 60


def frame(odd: object) -> pd.DataFrame:
    return pd.DataFrame({"odd": odd, "plain": np.random.default_rng(0).normal(size=N)})


@pytest.mark.parametrize(
    ("odd", "kind"),
    [
        (pd.cut(np.arange(N) % 13, 4), "categorical"),
        (pd.cut(np.arange(N) % 13, 4).astype("interval[float64]"), "categorical"),
        (pd.period_range("2000-01", periods=N, freq="M"), "numeric"),
        (pd.arrays.SparseArray(np.arange(N) % 3), "numeric"),
        ((np.arange(N) % 13).astype(np.longdouble), "numeric"),
    ],
)
def test_columns_of_types_that_pandas_alone_has_are_read(odd: Any, kind: str) -> None:
    """Periods and intervals were an error of Polars, sparse columns "cells of several types"."""
    table = frame(odd)
    model = VarTJEPA(TINY | {"data": {"kinds": {"odd": kind}}, "generator": {"max_epochs": 1}}).fit(table)
    assert model.model_.preprocessor.kinds == {"odd": kind, "plain": "numeric"}
    assert np.isfinite(model.transform(table)).all()
    assert model.impute(table.assign(plain=np.nan)).filled["plain"].null_count() == 0
    served = model.model_.predict(to_polars(table))["embedding"].to_numpy()  # as a registered model is asked
    np.testing.assert_allclose(served, model.transform(table), atol=1e-6)


def test_columns_that_are_no_numbers_of_a_table_are_named() -> None:
    with pytest.raises(DataError, match='"odd" is of type complex128'):
        VarTJEPA(TINY).fit(frame(np.arange(N) * 1j))
    with pytest.raises(ValueError, match="container"):
        VarTJEPA(TINY).fit(pd.Series(np.arange(N)))
    numbers = np.random.default_rng(0).normal(size=(N, 2)).astype(np.longdouble)
    assert set(VarTJEPA(TINY).fit(numbers).model_.preprocessor.kinds) == {"x0", "x1"}


def test_a_file_of_pandas_with_periods_and_intervals_is_read(tmp_path: Path) -> None:
    """It was called truncated or damaged."""
    table = frame(pd.period_range("2000-01", periods=N, freq="M"))
    table["between"] = pd.cut(np.arange(N) % 13, 4).astype("interval[float64]")
    table.to_parquet(tmp_path / "t.parquet")
    opened = open_path(str(tmp_path / "t.parquet"), DataSection(name="t")).frame.collect()
    assert opened["odd"].to_list() == list(range(360, 360 + N))  # months since 1970
    assert isinstance(opened.schema["between"], pl.Struct)
    model = VarTJEPA(TINY).fit(pl.read_parquet(tmp_path / "t.parquet")).model_
    assert set(model.preprocessor.left_out) == {"between", "odd"}
    assert "not supported" in model.preprocessor.left_out["between"]
    assert model.encode(pl.read_parquet(tmp_path / "t.parquet")).n_rows == N


@pytest.mark.parametrize("words", [["10", "20", "30", "7"], ["01.02.2020", "05.06.2021", "07.08.2022", "09.10.2019"]])
@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum])
def test_categories_whose_text_is_numbers_or_dates_are_read_as_when_they_were_learned(
    words: list[str], dtype: type[pl.DataType]
) -> None:
    """A model did not read the table that it was fitted on: "of type Categorical. Expected numbers"."""
    rng = np.random.default_rng(0)
    text = pl.DataFrame({"code": rng.choice(words, N), "plain": rng.normal(size=N)})
    table = text.with_columns(pl.col("code").cast(pl.Enum(words) if dtype == pl.Enum else dtype))
    model = VarTJEPA(TINY | {"generator": {"max_epochs": 1}}).fit(table)
    assert model.model_.preprocessor.kinds["code"] in ("numeric", "date")
    np.testing.assert_array_equal(model.transform(table), model.transform(text))
    holed = table.with_columns(pl.when(pl.int_range(N) > 5).then("code").alias("code"))
    filled = model.impute(holed).filled["code"]
    assert filled.null_count() == 0
    assert filled[6:].cast(pl.String).equals(text["code"][6:])
    if "10" in words:
        assert filled[:6].cast(pl.String).str.contains(r"^\d+$").all()


def test_columns_that_hold_nothing_are_filled_in_the_types_of_training() -> None:
    """pandas holds them as numbers: categories stayed missing in silence, dates became numbers of days."""
    rng = np.random.default_rng(0)
    table = pl.DataFrame({
        "job": rng.choice(["smith", "cook", "nurse"], N), "coin": rng.random(N) < 0.5, "plain": rng.normal(size=N),
        "day": pl.Series(rng.integers(15_000, 16_000, N)).cast(pl.Int32).cast(pl.Date),
    })  # fmt: skip
    model = VarTJEPA(TINY | {"generator": {"max_epochs": 1}}).fit(table)
    for nothing in (np.nan, None):
        filled = model.impute(table.to_pandas().assign(job=nothing, coin=nothing, day=nothing)).filled
        assert filled.schema == table.schema
        assert not any(filled.null_count().row(0))
    # Beside whole numbers, a word needs text.
    codes = model.impute(table.with_columns(job=pl.when(pl.int_range(N) > 3).then(7))).filled["job"]
    assert set(codes[:4]) <= {"smith", "cook", "nurse"}
    assert codes[4:].unique().to_list() == ["7"]
    plain = next(each for each in model.model_.preprocessor.numeric if each.name == "plain")
    with pytest.raises(DataError, match=r'"plain" is of type Decimal.*cannot hold'):
        plain.column(np.array([1e6]), pl.Decimal(3, 1))


def test_tables_of_arrow_keep_their_names() -> None:
    """They were taken for arrays, whose columns are x0, x1, ..."""
    table = pl.from_pandas(frame(np.arange(N) % 7))
    relation = duckdb.from_arrow(table.to_arrow())
    model = VarTJEPA(TINY).fit(table.to_arrow())
    assert model.model_.preprocessor.kinds == {"odd": "numeric", "plain": "numeric"}
    for same in (table, table.to_arrow(), relation):
        np.testing.assert_array_equal(model.transform(same), model.transform(table))


def test_values_under_a_mask_are_missing() -> None:
    values = np.random.default_rng(0).normal(size=(N, 2))
    masked = np.ma.masked_array(values, mask=values > 1)
    model = VarTJEPA(TINY | {"generator": {"n_layers": 0}}).fit(masked)
    np.testing.assert_array_equal(model.transform(masked), model.transform(masked.filled(np.nan)))
