"""The benchmark, called as a person calls it; small, so that its numbers mean nothing."""

import csv
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from tests.flows.conftest import caller, person_table, write_job
from tests.forked import Forks, Start

SMALL = ["--predictors", "mlp,autoint,xgboost", "--seeds", 2, "--runner", "threads", "--json",
         "--trials", 1, "--set", "training.epochs=2", "--set", "training.autoint.d_token=8"]  # fmt: skip


CELLS = ["--features", "raw", "--predictors", "mlp,ft_transformer", "--seeds", 2, "--json", "--trials", 2,
         "--set", "training.epochs=2"]  # fmt: skip


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    contract = {"data": {"path": "people.csv", "label": "rich"}}
    return write_job(tmp_path_factory.mktemp("benchmark") / "job", person_table(), **contract)


@pytest.fixture(scope="module")
def whole(prefect_server: None, job: Path, migrated: Path) -> SimpleNamespace:
    """A benchmark that nothing has stopped, and a way to call the command line in its folder."""
    home = job.parent / "home"
    with pytest.MonkeyPatch.context() as patch:
        answer = caller(home, migrated, patch)("benchmark", "--datasets", job, *SMALL)
    assert answer.code == 0, answer.err
    return SimpleNamespace(home=home, answer=answer)


@pytest.fixture(scope="module")
def cells(prefect_server: None, job: Path, migrated: Path) -> Iterator[SimpleNamespace]:
    """What a benchmark in threads of this process says, and a way to compute its cells with another runner."""
    home = job.parent / "threads"
    with pytest.MonkeyPatch.context() as patch:
        call = partial(caller(home, migrated, patch), "benchmark", "--datasets", job, *CELLS, "--runner")
        yield SimpleNamespace(call=call, answer=call("threads").json)


def table_of(answer: dict) -> list:
    return [[row["features"], row["predictor"], row["metric"], row["mean"], row["sd"]] for row in answer["table"]]


def test_a_benchmark_leaves_a_table_nested_runs_and_a_report(
    whole: SimpleNamespace, job: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    home, result = whole.home, whole.answer.json
    cells = {(cell["features"], cell["predictor"]) for cell in result["cells"]}
    assert len(cells) == 4 * 3
    accuracies = [row for row in result["table"] if row["metric"] == "accuracy"]
    assert all(0.3 < row["mean"] <= 1 and row["seeds"] == 2 for row in accuracies)
    with_latent = {row["features"] for row in result["table"] if row["metric"] == "selective/accuracy_50"}
    assert with_latent == {"untrained", "var_t_jepa"}
    assert len(result["duels"]) == 5 * 3

    client = MlflowClient(f"sqlite:///{home}/mlruns/mlflow.db")
    parent = client.get_run(result["run_id"])
    children = client.search_runs([parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    steps = [child.data.tags["varjepa.step"] for child in children]
    assert (steps.count("encoder"), steps.count("benchmark")) == (2, 12)
    names = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"benchmark.csv", "duels.csv", "benchmark.md", "report.html", "job.png", "config.json"} <= names
    page = (home / result["report"]).read_text()
    assert "Var-T-JEPA" in page
    assert "CPython" in page  # how it was made
    assert "http" not in page
    with (home / result["report"]).with_name("benchmark.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(result["table"])

    # A cell that is lost is made again, all others are reused, and the table stays what it was.
    lost = next((home / "mlruns/work").glob("cell-*/result.json"))
    lost.unlink()
    again = caller(home, migrated, monkeypatch)("benchmark", "--datasets", job, *SMALL).json
    assert table_of(again) == table_of(result)
    kept = [a["seconds"] == b["seconds"] for a, b in zip(again["cells"], result["cells"], strict=True)]
    assert kept.count(False) <= 1


@pytest.mark.parametrize(("runner", "workers"), [("processes", 2), ("dask", 1)])
def test_a_cell_is_the_same_wherever_it_is_computed(cells: SimpleNamespace, runner: str, workers: int) -> None:
    there = cells.call(runner, "--workers", workers, "--fresh")
    assert there.code == 0, there.err
    assert there.json["report"] != cells.answer["report"]
    assert table_of(there.json) == table_of(cells.answer)


def test_the_papers_protocol_shows_all_rows_to_the_encoder(varjepa, job: Path) -> None:
    only = ["--predictors", "mlp", "--features", "var_t_jepa", "--seeds", 1, "--runner", "threads", "--json",
            "--trials", 1, "--set", "training.epochs=1"]  # fmt: skip
    inductive = varjepa("benchmark", "--datasets", job, *only).json
    paper = varjepa("benchmark", "--datasets", job, *only, "--protocol", "paper").json
    assert table_of(inductive) != table_of(paper)


def test_a_killed_benchmark_ends_with_the_same_table(
    whole: SimpleNamespace, forks: Forks, prefect_api: str, *, job: Path, tmp_path: Path, migrated: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    some = ("raw", "var_t_jepa")
    words = ["benchmark", "--datasets", str(job), *map(str, SMALL), "--features", ",".join(some)]
    home = tmp_path / "killed"
    varjepa = caller(home, migrated, monkeypatch)
    killed = forks.start(Start(words, str(home), {"PREFECT_API_URL": prefect_api}))
    deadline = time.monotonic() + 240
    while not list(home.glob("mlruns/work/cell-*/result.json")) and time.monotonic() < deadline:
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send(signal.SIGKILL)
    killed.wait()
    done = len(list(home.glob("mlruns/work/cell-*/result.json")))
    assert 0 < done < 6
    finished = varjepa(*words)
    assert finished.code == 0, finished.err
    assert table_of(finished.json) == [row for row in table_of(whole.answer.json) if row[0] in some]


def test_encoders_and_splits_stand_beside_each_other(varjepa, job: Path) -> None:
    """Every encoder of every split is a computation of its own, and a duel covers all of them."""
    words = ["benchmark", "--datasets", job, "--predictors", "linear,skrub_trees", "--seeds", 2, "--encoder-seeds", 2,
             "--splits", 2, "--trials", 1, "--runner", "threads", "--json"]  # fmt: skip
    answer = varjepa(*words)
    assert answer.code == 0, answer.err
    cells = [(c["features"], c["predictor"], c["split"], c["encoder"]) for c in answer.json["cells"]]
    pairs = [*((name, "linear") for name in ("raw", "untrained", "t_jepa", "var_t_jepa")), ("raw", "skrub_trees")]
    assert set(cells) == {(*pair, split, encoder) for pair in pairs for split in (0, 1) for encoder in (0, 1)}
    assert len(set(cells)) == len(cells)
    values = {row["seeds"] for row in answer.json["table"] if row["metric"] == "accuracy"}
    assert values == {2 * 2 * 2}
    per_encoder = {str(c["metrics"]) for c in answer.json["cells"] if c["features"] == "untrained"}
    assert len(per_encoder) == 4
    assert len(answer.json["duels"]) == 5


@pytest.mark.parametrize("words", [
    ["--datasets", "nowhere"], ["--predictors", "tabnet"], ["--seeds", 0], ["--trials", 0], ["--splits", 0],
    ["--predictors", "skrub_linear", "--features", "t_jepa"],
])  # fmt: skip
def test_impossible_benchmarks_are_refused_with_code_2(varjepa, job: Path, words: list) -> None:
    arguments = words if words[0] == "--datasets" else ["--datasets", job, *words]
    answer = varjepa("benchmark", *arguments, "--json")
    assert (answer.code, answer.json["exit_code"]) == (2, 2), answer.err


@pytest.mark.parametrize("words", [["--predictors", "linear"], ["--labels", "50"]], ids=["predictors", "labels"])
def test_parts_without_labels_are_said_before_an_encoder_is_trained(varjepa, tmp_path: Path, words: list) -> None:
    parts = ["train"] * 240 + ["validation"] * 60 + ["test"] * 100
    table = person_table().with_columns(pl.Series("part", parts))
    table = table.with_columns(pl.when(pl.col("part") != "test").then("rich"))
    split = {"by": "column", "column": "part"}
    job = write_job(tmp_path / "job", table, data={"label": "rich", "split": split})
    answer = varjepa("benchmark", "--datasets", job, *words, "--runner", "threads", "--json")
    assert (answer.code, answer.json["exit_code"]) == (2, 2), answer.err
    assert "test 0" in answer.json["error"]
    assert "pretrain" not in answer.err


def test_predictors_without_errors_have_a_report(varjepa, tmp_path: Path) -> None:
    """How their errors are found is undefined; customers come in rows of four."""
    rng, rows = np.random.default_rng(0), 240
    gap = rng.choice([-4.0, 4.0], rows)
    table = pl.DataFrame({
        "customer": [f"c{row // 4}" for row in range(rows)], "gap": gap + rng.normal(0, 0.5, rows),
        "noise": rng.normal(0, 1, rows), "rich": np.where(gap > 0, "yes", "no"),
    })  # fmt: skip
    split = {"by": "hash", "column": "customer"}
    job = write_job(tmp_path / "job", table, data={"label": "rich", "split": split})
    answer = varjepa("benchmark", "--datasets", job, "--predictors", "linear", "--features", "raw,t_jepa",
                     "--trials", 1, "--seeds", 2, "--runner", "threads", "--json")  # fmt: skip
    assert answer.code == 0, answer.err
    found = {row["metric"]: row["mean"] for row in answer.json["table"] if row["features"] == "raw"}
    assert found["accuracy"] == 1
    assert "selective_msp/failure_auroc" not in found
    assert answer.json["cells"][0]["metrics"]["selective_msp/failure_auroc"] == [None, None]
    outputs = next(tmp_path.rglob("cell-*/outputs.npz"))
    with np.load(outputs) as arrays:
        customers, tests = len(np.unique(arrays["cluster"])), len(arrays["label"])
    assert tests == 4 * customers
