"""The simulation study, called as a person calls it; small, so that its numbers mean nothing."""

import csv
from pathlib import Path

import pytest

SMALL = ["--runs", 1, "--variants", "A,G", "--set", "rows=600", "--set", "test_rows=500", "--set", "epochs=2",
         "--set", "d_hidden=16", "--json"]  # fmt: skip


@pytest.fixture
def client(tmp_path: Path):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{tmp_path}/home/mlruns/mlflow.db")


def test_a_study_leaves_nested_runs_a_table_and_a_report(varjepa, client, tmp_path: Path) -> None:
    answer = varjepa("simulate", *SMALL)
    assert answer.code == 0, answer.err
    result = answer.json
    assert set(result["models"]) == {"A", "G", "JEPA gradient", "JEPA stop_gradient", "JEPA ema"}
    assert len(result["table"]) == 2 * 2 * 5
    parent = client.get_run(result["run_id"])
    assert (parent.info.status, parent.data.params["rows"]) == ("FINISHED", "600")
    children = client.search_runs([parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert sorted(child.data.params["model"] for child in children) == sorted(result["models"])
    of_a = next(child for child in children if child.data.params["model"] == "A")
    assert of_a.data.metrics["s_x/kl_agg"] == result["models"]["A"]["s_x/kl_agg"]
    assert [point.step for point in client.get_metric_history(of_a.info.run_id, "s_y/mean_norm")] == [1, 2]
    names = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert names == {"simulation.csv", "report.html", "diagnostics_s_x.png", "diagnostics_s_y.png", "collapse.png"}
    page = (tmp_path / "home" / result["report"]).read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page
    assert "CPython" in page  # how it was made
    with (tmp_path / "home" / result["report"]).with_name("simulation.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert (lines[0]["published"], lines[0]["sd"], lines[0]["difference_in_se"]) == ("0.996", "", "")

    # The same command trains nothing again: even the seconds are those of the first time.
    again = varjepa("simulate", *SMALL)
    assert again.json["models"] == result["models"]
    assert [again.json["seconds"][name] for name in result["models"]] == [
        result["seconds"][name] for name in result["models"]
    ]
    # A study made anew lies elsewhere and has the same numbers.
    fresh = varjepa("simulate", *SMALL, "--fresh")
    assert fresh.json["report"] != result["report"]
    assert fresh.json["models"] == result["models"]


@pytest.mark.parametrize("words", [["--variants", "A,Z"], ["--runs", 0], ["--set", "rowz=5"]])
def test_impossible_studies_are_refused_with_code_2(varjepa, words: list) -> None:
    answer = varjepa("simulate", *words, "--json")
    assert (answer.code, answer.json["exit_code"]) == (2, 2)
    assert "settings of the study" in answer.json["error"]
