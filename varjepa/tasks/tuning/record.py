"""Runs of a search in the tracking store: one for the search, and one nested run per trial."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from varjepa.config import RetrainConfig
from varjepa.data.files.formulas import as_spreadsheet_text
from varjepa.tasks.steps.retries import retried_task
from varjepa.tasks.tracking.runs import log_artifacts, log_results, opened_run
from varjepa.tasks.tracking.store import client_of
from varjepa.tasks.tuning.compare import Comparison
from varjepa.tasks.tuning.search import Finished, Search
from varjepa.tuning.space import Choice, Settings

PARENT = "run"
"""What a study remembers: the run of its searches."""

TRIALS = "trials.csv"


@contextmanager
def search_run(search: Search, config: RetrainConfig) -> Iterator[str]:
    """Opens the run of a study, the same one for every search that goes on with it, and yields its id."""
    again = search.remembered(PARENT)
    with opened_run(config.tracking, command="tune", name=config.registry.name, again=again) as run_id:
        search.remember(PARENT, run_id)
        yield run_id


@retried_task("log search")
def log_search(run_id: str, config: RetrainConfig, search: Search) -> None:
    """Writes the job and what is searched."""
    client = client_of(config.tracking)
    client.log_dict(run_id, config.model_dump(mode="json"), "config.json")
    space = {
        key: list(values.options) if isinstance(values, Choice) else vars(values)
        for key, values in search.space.items()
    }
    client.log_dict(run_id, space, "space.json")


def log_trial(run_id: str, config: RetrainConfig, number: int, settings: Settings) -> None:
    """Writes what a trial changes as parameters, and the whole job as a file."""
    from mlflow.entities import Param

    client = client_of(config.tracking)
    params = [Param("trial", str(number))] + [Param(key, str(value)) for key, value in settings.items()]
    client.log_batch(run_id, params=params)
    client.log_dict(run_id, config.model_dump(mode="json"), "config.json")


def note_trial(run_id: str, config: RetrainConfig, state: str, metrics: dict[str, float]) -> None:
    """Writes how a trial ended."""
    log_results.fn(run_id, config.tracking, metrics, {"varjepa.trial": state})


@retried_task("log trials")
def log_trials(run_id: str, config: RetrainConfig, search: Search, metrics: dict[str, float]) -> None:
    """Writes the table of all trials and the metrics of the search."""
    path = write_trials(search.folder / TRIALS, search.finished())
    log_artifacts.fn(run_id, config.tracking, {"": path})
    log_results.fn(run_id, config.tracking, metrics, {})


def comparison_metrics(comparison: Comparison) -> dict[str, float]:
    """The comparison of best and default as metrics of the search."""
    values = {
        f"tune/{part}_{name}": value
        for part in ("validation", "test")
        for name, value in getattr(comparison, part).items()
    }
    named = {name: getattr(comparison, name) for name in ("gain", "low", "high", "optimism")}
    return values | {f"tune/test_{name}": value for name, value in named.items() if value is not None}


def write_trials(path: Path, trials: list[Finished]) -> Path:
    """Writes a CSV file with one line per trial."""
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["trial", "state", "value", "epochs", "seconds", "settings", "reason", "run"])
        for trial in trials:
            lines.writerow([
                trial.number, trial.state, trial.value, trial.epochs, round(trial.seconds, 2),
                json.dumps(trial.settings), as_spreadsheet_text(trial.reason), trial.run_id,
            ])  # fmt: skip
    return path
