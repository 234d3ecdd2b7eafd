"""Few labels: what they train, what a study of them says, and what a job with few of them tells."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from tests.flows.conftest import person_table, write_job


def sparse(table: pl.DataFrame, share: float) -> pl.DataFrame:
    """The table with only this share of its labels."""
    known = pl.int_range(pl.len()).mod(round(1 / share)) == 0
    return table.with_columns(pl.when(known).then("rich").alias("rich"))


class Unlogged:
    """Curves that go nowhere."""

    run_id = "none"

    def log(self, metrics: dict[str, float]) -> None: ...


def trained_on(table: pl.DataFrame, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Weights of the network that a job trains, its epoch selected without labels."""
    from varjepa.config import load_config
    from varjepa.tasks.retrain.ingest import ingest
    from varjepa.tasks.retrain.preprocess import preprocess
    from varjepa.tasks.retrain.pretrain import trained_network
    from varjepa.tasks.retrain.validate import check_contract

    # A random split: that of hashes would be the same, as the label is not hashed, but this needs no proof.
    job = write_job(folder, table, data={"label": "rich", "split": {"by": "random"}}, training={"selection": "elbo"})
    monkeypatch.chdir(folder)
    config = load_config(job)
    snapshot = ingest.fn(config)
    prepared = preprocess.fn(check_contract.fn(snapshot, config).clean, snapshot.told(config))
    curves: Any = Unlogged()
    return load_file(trained_network(prepared, prepared.sized(snapshot.told(config)), curves).weights)


def test_rows_without_a_label_train_the_embedding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine of ten labels are taken away: the network stays the same, bit by bit. Without those rows it does not."""
    table = person_table(300)
    whole = trained_on(table, tmp_path / "whole", monkeypatch)
    few = trained_on(sparse(table, 0.1), tmp_path / "few", monkeypatch)
    only = trained_on(sparse(table, 0.5).drop_nulls("rich"), tmp_path / "only", monkeypatch)
    assert all(torch.equal(whole[name], few[name]) for name in whole)
    assert not all(torch.equal(whole[name], only[name]) for name in whole if only[name].shape == whole[name].shape)


def test_a_study_of_few_labels_leaves_a_table_a_figure_and_verdicts(varjepa, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    job = write_job(tmp_path / "job", person_table(), data={"label": "rich"})
    words = [
        "benchmark",
        "--datasets",
        job,
        "--labels",
        "20,60,100000,all",
        "--seeds",
        2,
        "--runner",
        "threads",
        "--json",
    ]
    answer = varjepa(*words)
    assert answer.code == 0, answer.err
    result = answer.json
    # More than there are means all of them, once.
    assert sorted({point["labels"] for point in result["points"]}) == [20, 60, 280]
    assert {point["method"] for point in result["points"]} == {
        "raw trees", "raw linear", "embedding linear", "trees on both"
    }  # fmt: skip
    assert all(point["low"] <= point["mean"] <= point["high"] <= 1.5 for point in result["points"])
    assert len(result["gaps"]) == 3 * 4
    assert len(result["verdicts"]) == 3
    client = MlflowClient(f"sqlite:///{tmp_path}/home/mlruns/mlflow.db")
    names = {file.path for file in client.list_artifacts(result["run_id"])}
    assert {"labels.csv", "gaps.csv", "labels.md", "labels.png", "report.html", "config.json"} <= names
    assert "self-supervision" in answer.err
    again = varjepa(*words)
    assert again.json["points"] == result["points"]
    assert "label-cell starts" not in again.err  # nothing is computed again


def test_cells_are_the_same_in_another_process(varjepa, tmp_path: Path) -> None:
    """With a numeric label."""
    table = person_table().with_columns(pl.col("income per-year").alias("pay")).drop("income per-year")
    job = write_job(tmp_path / "job", table, data={"label": "pay"})
    words = ["benchmark", "--datasets", job, "--labels", "30", "--seeds", 1, "--json"]
    here, there = (
        varjepa(*words, "--runner", "threads"),
        varjepa(*words, "--runner", "processes", "--workers", 1, "--fresh"),
    )
    assert there.code == 0, there.err
    assert here.json["points"] == there.json["points"]


@pytest.mark.parametrize("words", [["--labels", "0"], ["--labels", "-5,all"], ["--labels", "some"], ["--labels", ","],
                                   ["--labels", "50", "--predictors", "mlp"],
                                   ["--labels", "50", "--features", "raw"]])  # fmt: skip
def test_impossible_studies_are_refused_with_code_2(varjepa, tmp_path: Path, words: list[str]) -> None:
    job = write_job(tmp_path / "job", person_table(), data={"label": "rich"})
    answer = varjepa("benchmark", "--datasets", job, *words, "--json")
    assert (answer.code, answer.json["exit_code"]) == (2, 2), answer.err


def test_a_table_with_a_single_label_is_refused(varjepa, tmp_path: Path) -> None:
    table = sparse(person_table(), 1 / 400)
    job = write_job(tmp_path / "job", table, data={"label": "rich"})
    answer = varjepa("benchmark", "--datasets", job, "--labels", "50", "--json")
    assert answer.code == 2, answer.err


@pytest.fixture(scope="module")
def few(prefect_server: None, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A retrain of a table of which one row in nine has a label."""
    from tests.flows.conftest import caller

    home = tmp_path_factory.mktemp("few")
    quick = {"training": {"max_epochs": 1}, "generator": {"n_layers": 0}}
    job = write_job(home, sparse(person_table(900), 1 / 9), data={"label": "rich"}, **quick)
    with pytest.MonkeyPatch.context() as patch:
        answer = caller(home, migrated, patch)("retrain", job, "--json")
    assert answer.code == 0, answer.err
    return SimpleNamespace(home=home, answer=answer)


def test_figures_say_how_many_labelled_test_rows_they_rest_on(few: SimpleNamespace) -> None:
    metrics = few.answer.json["metrics"]
    rows, known = (int(metrics[f"data/labelled_{part}_rows"]) for part in ("test", "train"))
    predictions = pl.read_parquet(next(few.home.glob("mlruns/work/probe-*/predictions.parquet")))
    assert rows == predictions["label"].is_not_nan().sum()
    assert 5 < rows < 40 < known < 80
    assert f"{rows} labelled test rows" in " ".join(few.answer.err.split())
    card = next(few.home.glob("mlruns/artifacts/**/model_card.html")).read_text()
    assert f"{rows} labelled test rows" in card
    assert f"train {known}, test {rows}" in card


def test_the_card_of_few_labels_compares_with_raw_columns(few: SimpleNamespace) -> None:
    card = next(few.home.glob("mlruns/artifacts/**/model_card.html")).read_text()
    assert "self-supervision" in card
    assert "trees on both" in card
    assert list(few.home.glob("mlruns/artifacts/**/labels/labels.csv"))
    assert list(few.home.glob("mlruns/artifacts/**/labels/labels.png"))


def test_a_job_whose_rows_all_have_labels_draws_no_curve(handed_over: SimpleNamespace) -> None:
    assert not list(handed_over.home.glob("mlruns/work/few_labels-*"))
    metrics = handed_over.answer.json["metrics"]
    assert metrics["data/labelled_train_rows"] > metrics["data/labelled_test_rows"] > 50
