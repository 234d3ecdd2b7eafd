"""Columns as pandas and NumPy hold them, which Polars holds in other ways."""

from pathlib import Path
from typing import Any

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
