"""Versions that were registered before files moved to rooms load, and answer as they did."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.flows.conftest import Answer

HERE = Path(__file__).parent / "registered_by_40547f5"
KINDS = ("var_t_jepa", "t_jepa")


@pytest.fixture(params=KINDS)
def version(request: pytest.FixtureRequest) -> Path:
    return HERE / request.param


def test_it_scores_and_imputes_the_same(version: Path, varjepa: Callable[..., Answer], tmp_path: Path) -> None:
    import mlflow

    home, model = tmp_path / "home", "models:/people/1"
    mlflow.set_tracking_uri(f"sqlite:///{home}/mlruns/mlflow.db")
    client = mlflow.MlflowClient()
    client.create_registered_model("people")
    client.create_model_version("people", str(version / "model"))
    for command, name in (("score", "scores.parquet"), ("impute", "imputed.csv")):
        answer = varjepa(command, model, HERE / "rows.csv", home / name)
        assert answer.code == 0, answer.err
    scores, before = pl.read_parquet(home / "scores.parquet"), pl.read_parquet(version / "scores.parquet")
    assert_frame_equal(scores, before, rel_tol=1e-4, abs_tol=1e-5)
    assert_frame_equal(pl.read_csv(home / "imputed.csv"), pl.read_csv(version / "imputed.csv"), rel_tol=1e-4)


def test_mlflow_runs_its_own_page_of_code(version: Path) -> None:
    import mlflow

    rows = pl.read_csv(HERE / "rows.csv", try_parse_dates=True)
    answer = mlflow.pyfunc.load_model(str(version / "model")).predict(rows.to_pandas())
    before = pl.read_parquet(version / "scores.parquet")
    assert answer["prediction"].tolist() == before["prediction"].to_list()
    np.testing.assert_allclose(np.stack(answer["embedding"]), before["embedding"].to_numpy(), rtol=1e-4, atol=1e-5)
