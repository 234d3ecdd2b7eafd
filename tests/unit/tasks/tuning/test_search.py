"""The study of a search on a real SQLite file, with a formula in place of a training."""

import math
import time
from pathlib import Path
from typing import Any

import pytest

from varjepa.config import RetrainConfig, parse_config
from varjepa.errors import ConfigError
from varjepa.tasks.tuning.compare import compare_on_test
from varjepa.tasks.tuning.search import Finished, Limits, Search

JOB = parse_config({"data": {"name": "sim", "label": "label"}, "model": {"size": "published"}}).sized(1000, 2)


def value_of(search: Search, trial: Any) -> float:
    """Best where the learning rate is 0.002."""
    point = {"training.lr": JOB.training.lr} | search.settings(trial)
    return abs(math.log(point["training.lr"] / 0.002))


def end(search: Search, trial: Any, value: float | None, reason: str = "") -> None:
    state = "complete" if value is not None else "failed" if reason else "pruned"
    search.end(trial, Finished(trial.number, state, value, search.settings(trial), 3, 1.0, "run", reason))


def run(search: Search, trials: int) -> None:
    for _ in range(trials):
        trial = search.next()
        end(search, trial, value_of(search, trial))


def outcome(search: Search) -> list[tuple[dict, float | None]]:
    return [(trial.settings, trial.value) for trial in search.finished()]


@pytest.mark.slow
def test_the_job_itself_is_the_first_trial_and_the_best_is_never_worse(tmp_path: Path) -> None:
    search = Search(tmp_path, JOB)
    run(search, 12)
    finished, best, default = search.finished(), search.best(), search.default()
    assert [trial.number for trial in finished] == list(range(12))
    assert (finished[0].settings, default) == ({}, finished[0])
    assert best is not None
    assert best.value == min(trial.value for trial in finished if trial.value is not None)
    assert best.value < finished[0].value


@pytest.mark.slow
def test_a_search_that_was_stopped_ends_like_one_that_was_not(tmp_path: Path) -> None:
    """Opened anew after each trial, two of which were cut short: one by a kill, one by the budget."""
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole = Search(tmp_path / "whole", JOB)
    run(whole, 11)
    for number in range(11):
        search = Search(tmp_path / "stopped", JOB)
        if number in (0, 4):
            search.next()  # and nothing more: it stays in the state of a killed one
            search = Search(tmp_path / "stopped", JOB)
        if number == 10:
            search.give_back(search.next())
        run(search, 1)
    assert outcome(search) == outcome(whole)
    default = search.default()
    assert default is not None
    assert default.settings == {}


@pytest.mark.slow
def test_the_seed_changes_the_draws(tmp_path: Path) -> None:
    drawn = []
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        config = JOB.model_copy(update={"training": JOB.training.model_copy(update={"seed": seed})})
        search = Search(tmp_path / str(seed), config)
        run(search, 3)
        drawn.append(outcome(search)[1:])
    assert drawn[0] != drawn[1]


@pytest.mark.slow
def test_pruned_and_failed_trials_count_but_are_never_the_best(tmp_path: Path) -> None:
    search = Search(tmp_path, JOB)
    end(search, search.next(), 1.0)
    end(search, search.next(), None)
    end(search, search.next(), None, reason="Training diverged.")
    assert [trial.state for trial in search.finished()] == ["complete", "pruned", "failed"]
    best = search.best()
    assert best is not None
    assert best.number == 0
    assert search.finished()[2].reason == "Training diverged."


@pytest.mark.slow
def test_of_equal_trials_the_earliest_is_the_best(tmp_path: Path) -> None:
    search = Search(tmp_path, JOB)
    for _ in range(3):
        end(search, search.next(), 1.0)
    best = search.best()
    assert best is not None
    assert best.settings == {}


@pytest.mark.slow
def test_a_trial_worse_than_the_median_is_pruned_and_a_better_one_is_not(tmp_path: Path) -> None:
    search = Search(tmp_path, JOB)
    for score in (1.0, 1.1, 1.2, 1.3):
        trial = search.next()
        for epoch in range(3):
            trial.report(score - 0.1 * epoch, epoch)
            assert not trial.should_prune()  # there is nothing to compare with yet
        end(search, trial, score - 0.2)
    for score, pruned in ((5.0, True), (0.5, False)):
        trial = search.next()
        trial.report(score, 0)
        trial.report(score, 1)
        assert trial.should_prune() == pruned
        end(search, trial, None if pruned else score)


def test_without_a_finished_default_there_is_nothing_to_compare(tmp_path: Path) -> None:
    search = Search(tmp_path, JOB)
    assert (search.best(), search.default()) == (None, None)


def test_a_job_that_fails_as_it_is_is_said_until_it_does_not(tmp_path: Path) -> None:
    search = Search(tmp_path, JOB)
    assert search.failure() == ""
    end(search, search.next(), None, reason="Training diverged.")
    assert search.failure() == "Training diverged."
    with pytest.raises(ConfigError, match=r"own settings.*failed: Training diverged"):
        compare_on_test.fn(search, None, JOB)  # type: ignore[arg-type]  # nothing is read
    again = Search(tmp_path, JOB)  # tries it anew: memory may have been short
    end(again, again.next(), 1.0)
    assert again.failure() == ""
    assert again.default() is not None


@pytest.mark.slow
def test_a_fact_is_remembered(tmp_path: Path) -> None:
    Search(tmp_path, JOB).remember("looks", {"0": {"gain": 0.1}})
    assert Search(tmp_path, JOB).remembered("looks") == {"0": {"gain": 0.1}}
    assert Search(tmp_path, JOB).remembered("nothing") is None


@pytest.mark.parametrize(
    ("limits", "finished", "over"),
    [(Limits(3, None), 2, False), (Limits(3, None), 3, True), (Limits(3, None), 9, True),
     (Limits(None, None), 99, False), (Limits(3, time.monotonic() - 1), 0, True),
     (Limits(None, time.monotonic() + 1e6), 99, False)],
)  # fmt: skip
def test_limits(limits: Limits, finished: int, over: bool) -> None:
    assert limits.over(finished) == over


def test_time_left_is_the_shorter_of_budget_and_trials() -> None:
    finished = [Finished(0, "complete", 1.0, {}, 1, 10.0, "run"), Finished(1, "pruned", None, {}, 1, 20.0, "run")]
    assert Limits(4, None).seconds_left(finished) == 30
    assert Limits(None, None).seconds_left(finished) is None
    left = Limits(4, time.monotonic() + 5).seconds_left(finished)
    assert left is not None
    assert 4 < left <= 5


def test_another_job_has_another_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from varjepa.tasks.tuning.search import study_folder

    def folder(config: RetrainConfig, encoded: str = "a") -> Path:
        prepared: Any = SimpleNamespace(encoded=encoded)
        return study_folder(prepared, config)

    other = JOB.model_copy(update={"training": JOB.training.model_copy(update={"lr": 0.5})})
    elsewhere = JOB.model_copy(update={"registry": JOB.registry.model_copy(update={"name": "other"})})
    assert folder(JOB) == folder(elsewhere)
    assert len({folder(JOB), folder(other), folder(JOB, "b")}) == 3
