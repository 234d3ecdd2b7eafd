"""A numeric label end to end: intervals and a certificate by the command line, in the registry, in drift."""

import json
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import polars as pl
import pytest

from tests.flows.conftest import caller, write_job

LEVEL = 0.8


def houses(rows: int, seed: int) -> pl.DataFrame:
    """Prices are skewed, and vary more where houses are large."""
    rng = np.random.default_rng([seed, 120])
    size, kind = rng.uniform(30, 200, rows), rng.choice(["flat", "house"], rows)
    price = 2 * size * np.exp(np.where(size > 100, 0.3, 0.05) * rng.normal(size=rows)) + 40 * (kind == "house")
    return pl.DataFrame({"size": size.round(1), "kind": kind, "year": rng.integers(1950, 2020, rows), "price": price})


@pytest.fixture(scope="module")
def retrained(prefect_server: None, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A registered regressor of 700 houses."""
    home = tmp_path_factory.mktemp("houses")
    job = write_job(
        home, houses(700, 0), data={"label": "price"}, registry={"name": "houses"}, generator={"n_layers": 0},
        probe={"head": "linear", "features": "raw"}, uncertainty={"level": LEVEL, "accuracy": 0.8},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        answer = caller(home, migrated, patch)("retrain", job, "--json")
    assert answer.code == 0, answer.err
    (model,) = (home / "mlruns" / "work").glob("assemble-*/model")
    return SimpleNamespace(home=home, answer=answer, model=model, uri=f"sqlite:///{home}/mlruns/mlflow.db")


def test_the_run_says_what_was_promised_and_what_test_rows_show(retrained: SimpleNamespace) -> None:
    metrics = retrained.answer.json["metrics"]
    assert metrics["interval/promised"] == LEVEL
    assert metrics["interval/coverage"] == pytest.approx(LEVEL, abs=0.12)
    assert 0 < metrics["interval/width"] < 1.1 * metrics["interval/width_plain"]
    assert 0 < metrics["head/crps"] < metrics["head/rmse"]
    assert metrics["certificate/accuracy"] > 0.7
    assert metrics["selective_shipped/rmse_50"] < metrics["head/rmse"]
    client = mlflow.MlflowClient(retrained.uri)
    run = retrained.answer.json["run_id"]
    files = {artifact.path for folder in ("figures", "uncertainty") for artifact in client.list_artifacts(run, folder)}
    assert {"figures/intervals.png", "figures/risk_coverage.png", "uncertainty/intervals.json"} <= files
    card = client.get_model_version("houses", "1").description
    assert "at least 80% of new rows" in card
    assert "predicted to within" in card


def test_scores_and_the_served_model_give_the_same_intervals(retrained: SimpleNamespace, migrated, monkeypatch) -> None:
    varjepa, new = caller(retrained.home, migrated, monkeypatch), houses(300, 1)
    new.drop("price").write_csv(retrained.home / "new.csv")
    columns = ("--columns", "prediction,uncertainty")
    answer = varjepa("score", str(retrained.model), "new.csv", "out.csv", *columns, "--json")
    assert answer.code == 0, answer.err
    out = pl.read_csv(retrained.home / "out.csv")
    assert out.columns == ["row", "prediction", "low", "high", "accept", "uncertainty", "latent_uncertainty"]
    assert (out["low"] <= out["high"]).all()
    assert answer.json["accepted"] == pytest.approx(out["accept"].mean())
    inside = (out["low"] <= new["price"]) & (new["price"] <= out["high"])
    assert inside.mean() == pytest.approx(LEVEL, abs=0.12)
    mlflow.set_tracking_uri(retrained.uri)
    served = mlflow.pyfunc.load_model("models:/houses/1")
    assert {"low", "high", "accept"} <= {column.name for column in served.metadata.signature.outputs}
    found = pl.from_pandas(served.predict(new.drop("price").to_pandas()).drop(columns="embedding"))
    for name in ("prediction", "low", "high", "uncertainty"):
        np.testing.assert_allclose(found[name], out[name], rtol=1e-5)
    assert found["accept"].to_list() == out["accept"].to_list()
    refused = varjepa("score", str(retrained.model), "new.csv", "sets.csv", "--columns", "set")
    assert refused.code == 2
    assert "predicts no classes" in refused.err


def test_drift_shows_intervals_that_no_longer_hold(retrained: SimpleNamespace, migrated, monkeypatch) -> None:
    varjepa = caller(retrained.home, migrated, monkeypatch)
    houses(500, 2).with_columns(pl.col("price") * 1.5).write_csv(retrained.home / "dearer.csv")
    answer = varjepa("drift", "models:/houses/1", "dearer.csv", "--json")
    assert answer.code in (0, 1), answer.err
    drifted = {test["name"] for test in answer.json["tests"] if test["verdict"] == "drift"}
    assert {"pit", "covered", "residual"} <= drifted
    quality = answer.json["quality"]["interval_coverage"]
    assert quality["new"] < quality["reference"] - 0.1


def test_the_files_are_plain(retrained: SimpleNamespace) -> None:
    names = {path.name for path in retrained.model.iterdir()}
    assert "intervals.safetensors" in names
    assert "sets.json" not in names
    assert all(path.suffix in (".json", ".safetensors") for path in retrained.model.iterdir())
    assert json.loads((retrained.model / "config.json").read_text())["uncertainty"]["level"] == LEVEL
