"""The search for better settings, called as a person calls it; small, so that its numbers mean nothing."""

import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.flows.conftest import caller, person_table, write_job
from tests.forked import Forks, Said, Start

SETTING = ("--set", "training.lr=2e-3")


@pytest.fixture
def job(tmp_path: Path) -> Path:
    return small_job(tmp_path)


def small_job(folder: Path) -> Path:
    quick = {"training": {"max_epochs": 3}, "generator": {"n_layers": 0}}
    return write_job(folder / "job", person_table(), data={"label": "rich"}, **quick)


@pytest.fixture(scope="module")
def searched(prefect_server: None, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A search of three trials that nothing has stopped."""
    folder = tmp_path_factory.mktemp("searched")
    job = small_job(folder)
    with pytest.MonkeyPatch.context() as patch:
        answer = caller(folder / "home", migrated, patch)("tune", job, "--trials", 3, "--json", *SETTING)
    assert answer.code == 0, answer.err
    return SimpleNamespace(home=folder / "home", job=job, answer=answer)


def children(home: Path, run_id: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home}/mlruns/mlflow.db")
    experiment = client.get_run(run_id).info.experiment_id
    return client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run_id}'", order_by=["attributes.start_time"])


def outcome(answer: dict[str, Any]) -> list[tuple]:
    return [(trial["state"], trial["settings"], trial["value"], trial["epochs"]) for trial in answer["trials"]]


def test_a_search_leaves_nested_runs_and_a_config_that_retrain_runs(
    searched: SimpleNamespace, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    from varjepa.config import as_flat, load_config

    answer, job, home = searched.answer, searched.job, searched.home
    varjepa, result = caller(home, migrated, monkeypatch), answer.json
    assert [trial["number"] for trial in result["trials"]] == [0, 1, 2]
    assert result["trials"][0]["settings"] == {}
    values = [trial["value"] for trial in result["trials"] if trial["value"] is not None]
    comparison, best = result["comparison"], result["best"]
    assert comparison["validation"] == {"default": values[0], "tuned": min(values)}
    assert comparison["gain"] == pytest.approx(comparison["test"]["default"] - comparison["test"]["tuned"])
    assert comparison["low"] <= comparison["gain"] <= comparison["high"]
    assert comparison["optimism"] == pytest.approx(values[0] - min(values) - comparison["gain"])
    assert comparison["looks"] == 1
    heads = comparison["heads"]
    assert heads["gain"] == pytest.approx(heads["test"]["default"] - heads["test"]["tuned"])
    assert set(heads["settings"]) <= {"probe.head", "probe.features"}
    assert heads["settings"].items() <= best["settings"].items()
    assert "trial 0, 1 of 3 finished: value" in answer.err
    assert "left" in answer.err

    client = MlflowClient(f"sqlite:///{home}/mlruns/mlflow.db")
    parent, trials = client.get_run(result["run_id"]), children(home, result["run_id"])
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["tune/test_gain"] == comparison["gain"]
    files = {file.path for file in client.list_artifacts(result["run_id"])}
    assert files >= {"trials.csv", "config.json", "space.json", "job.tuned.yaml"}
    assert [run.data.metrics["tune/value"] for run in trials] == values
    searched_for = {key: str(value) for key, value in best["settings"].items() if key not in heads["settings"]}
    assert searched_for.items() <= trials[best["trial"]].data.params.items()
    assert len(client.get_metric_history(trials[0].info.run_id, "validation/probe_loss")) == 3

    # The file is the user's, with the override and what the best trial changes; its training is reused.
    tuned = job.with_name("job.tuned.yaml")
    before, after = (as_flat(load_config(path)) for path in (job, tuned))
    changed = {key: value for key, value in after.items() if value != before[key]}
    assert changed == {"training.lr": 2e-3} | best["settings"]
    retrained = varjepa("retrain", tuned, "--dry-run", "--json")
    assert retrained.code == 0, retrained.err
    assert "pretrain: nothing has changed" in retrained.err

    # The same search goes on, in the same run; without --force nothing is overwritten, and nothing is done.
    refused = varjepa("tune", job, "--trials", 4, "--json", *SETTING)
    assert (refused.code, "would be overwritten" in refused.err) == (2, True)
    more = varjepa("tune", job, "--trials", 4, "--json", *SETTING, "--force").json
    assert more["run_id"] == result["run_id"]
    assert outcome(more)[:3] == outcome(result)
    assert len(more["trials"]) == len(children(home, result["run_id"])) == 4


def test_a_search_that_was_interrupted_and_killed_ends_like_one_that_was_not(
    searched: SimpleNamespace, forks: Forks, prefect_api: str, *, tmp_path: Path, migrated: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from mlflow import MlflowClient

    whole, job, home = searched.answer.json, small_job(tmp_path), tmp_path / "stopped"
    words, varjepa = ["tune", str(job), "--trials", "3", "--json", *SETTING], caller(home, migrated, monkeypatch)
    start = Start(words, str(home), {"PREFECT_API_URL": prefect_api})
    client = MlflowClient(f"sqlite:///{home}/mlruns/mlflow.db")

    def stopped_at(folders: int, how: signal.Signals) -> Said:
        process = forks.start(start)
        deadline = time.monotonic() + 240
        while len(list(home.glob("mlruns/work/pretrain-*/"))) < folders and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.02)
        process.send(how)
        return process.said()

    assert "Run the same command again to resume." in stopped_at(1, signal.SIGTERM).err
    assert stopped_at(3, signal.SIGKILL).code == -signal.SIGKILL
    done = varjepa(*words)  # of this process: those that were stopped are others
    assert done.code == 0, done.err
    answer = done.json
    assert outcome(answer) == outcome(whole)
    assert answer["comparison"] == whole["comparison"]
    parents = client.search_runs(["1"], "tags.`varjepa.step` = 'tune'")
    assert [run.info.run_id for run in parents] == [answer["run_id"]]
    trials = children(home, answer["run_id"])
    assert all(run.info.status != "RUNNING" for run in trials)
    assert sum("tune/value" in run.data.metrics for run in trials) == sum(
        value is not None for _, _, value, _ in outcome(whole)
    )


def test_a_budget_ends_a_search_in_the_middle_of_a_trial_and_the_next_one_goes_on(varjepa, tmp_path: Path) -> None:
    """Without a label, too: hidden cells compare the trials."""
    job = write_job(
        tmp_path / "job", person_table(), data={"drop": ["rich"]}, training={"max_epochs": 40, "patience": 40}
    )
    short = varjepa("tune", job, "--budget", "1s", "--json")
    assert (short.code, "larger --budget" in short.json["error"]) == (2, True), short.err
    assert not (tmp_path / "job/job.tuned.yaml").exists()
    answer = varjepa("tune", job, "--budget", "100s", "--trials", 2, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["comparison"]["criterion"] == "hidden_cells"
    assert 0 < answer.json["comparison"]["test"]["default"] < 2
    assert answer.json["trials"][0]["epochs"] == 40


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--budget", "soon"], "is not a duration"),
        (["--budget", "0"], "is not a duration"),
        (["--budget", "-1h"], "is not a duration"),
        (["--trials", "0"], "--trials is 0"),
        (["--trials", "-3"], "--trials is -3"),
        (["--trials", "many"], "not a valid integer"),
        (["--out", "nowhere/job.yaml"], "There is no folder"),
        (["--set", "training.lrr=1"], "unknown key"),
        (["--set", "training.lr"], "not a key and a value"),
    ],
)
def test_impossible_searches_are_refused_with_code_2(varjepa, job: Path, words: list[str], says: str) -> None:
    answer = varjepa("tune", job, *words, "--json")
    assert (answer.code, answer.json["exit_code"]) == (2, 2), answer.err
    assert says in answer.json["error"]
