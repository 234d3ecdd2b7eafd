"""The page of a model's life: versions, verdicts, drift, and accuracy over time, from what the runs recorded."""

import csv
import json
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varjepa.amounts import counted, figure, share
from varjepa.plots.life import Point, life_plot
from varjepa.redaction import redacted_uri
from varjepa.tasks.registry.champion import champion_of, history
from varjepa.tasks.registry.listing import QUALITY
from varjepa.tasks.registry.search import quoted, results, versions_of
from varjepa.tasks.registry.tags import DAY_TAG, GATE_TAG, INTERVAL_TAG, RUN_TAG
from varjepa.tasks.reports.page import Picture, render
from varjepa.tasks.reports.provenance import provenance
from varjepa.tasks.tracking.killed_runs import FAILURE
from varjepa.tasks.tracking.store import client_for
from varjepa.visible import shortened

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

MOST = 200
"""Newest versions and runs on a page."""

LONGEST = 400
"""Characters of a reason."""

SPELLED = {"r2": "R2"}
"""Measures whose names are no words."""


def life_page(name: str, uri: str, *, remember: bool = False) -> str:
    """The page as HTML that needs nothing beside it.

    Args:
        name: registered model.
        uri: tracking store.
        remember: write the interval of each version to its tag, so that the next page need not fetch it again.
    """
    client = client_for(uri)
    every = sorted(versions_of(client, name), key=lambda version: int(version.version))
    versions = every[-MOST:]
    events, experiments = history(client, name), _experiments(client)
    champions, now = {event.version for event in events}, champion_of(client, name)
    runs = _runs_of(client, experiments, versions)
    metrics = {version.version: _quality(runs.get(run_of(version))) for version in versions}
    measure = next((_measure(metric) for metric in reversed(metrics.values()) if metric is not None), "")
    made: list[list[str]] = []
    quality: list[Point] = []
    for version in versions:
        number, run, metric = int(version.version), runs.get(run_of(version)), metrics[version.version]
        low, high = _interval(client, version, run, metric, remember=remember)
        made.append(_version_row(version, run, metric, (low, high), measure))
        # Where a name has changed its label, accuracies and R2 have no axis in common.
        if run is not None and metric is not None and _measure(metric) == measure:
            value = run.data.metrics[metric]
            ends = (value, value) if low is None or high is None else (low, high)
            quality.append(Point(_time(version.creation_timestamp), value, *ends, str(number), number in champions))
    drift, evaluated = (_runs(client, experiments, name, step) for step in ("drift", "evaluate"))
    checked = "r2" if measure == "r2" else "accuracy"
    estimates = [] if measure == "r2" else [*_estimates(drift)]
    drawn = life_plot(
        quality, [*map(_drift_point, drift)], estimates, [*_true(evaluated, checked)],
        measure=SPELLED.get(measure, measure) or "quality", checked=SPELLED.get(checked, checked),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        drawn.savefig(file := Path(folder) / "life.png")
        image = Picture.of(file)
    newest = f" (the newest {MOST} are shown)" if len(every) > MOST else ""
    champion = "no champion" if now is None else f"version {now} is the champion"
    alarms = sum(run.data.metrics.get("drift/alarm", 0) > 0 for run in drift)
    return render(
        "life.html", name=name, image=image, quality=SPELLED.get(measure, measure) or "quality", versions=made[::-1],
        checked=SPELLED.get(checked, checked),
        summary=f"{counted(len(every), 'version')}{newest}, {champion}. "
        f"{counted(len(drift), 'comparison')} with new rows, {counted(alarms, 'alarm')}.",
        champions=[
            (_minute(datetime.fromisoformat(each.time)), each.version, each.by, each.who,
             shortened(each.reason, LONGEST))
            for each in reversed(events)
        ],
        failed=[*map(_failed_row, _failed(client, experiments, name))],
        drift=[*map(_drift_row, reversed(drift))],
        evaluations=[_evaluation_row(run, checked) for run in reversed(evaluated)],
        made=[*provenance().items(), ("tracking store", redacted_uri(uri))],
    )  # fmt: skip


def _experiments(client: "MlflowClient") -> list[str]:
    return [experiment.experiment_id for experiment in client.search_experiments()]


def run_of(version: "ModelVersion") -> str:
    """The run that made a version; empty where none did."""
    return version.tags.get(RUN_TAG) or version.run_id or ""


def _runs_of(client: "MlflowClient", experiments: list[str], versions: list["ModelVersion"]) -> dict[str, "Run"]:
    """The runs that made versions, by id, unless somebody has deleted them: one question for all."""
    ids = ", ".join(f"'{run_id}'" for run_id in {run_of(version) for version in versions} if run_id)
    found = client.search_runs(experiments, f"attributes.run_id IN ({ids})", max_results=MOST) if ids else []
    return {run.info.run_id: run for run in found}


def _interval(
    client: "MlflowClient", version: "ModelVersion", run: "Run | None", metric: str | None, *, remember: bool
) -> tuple[float | None, float | None]:
    """The 95% interval of a metric, from the version's tag or else from the table that the run stores."""
    if run is None or metric is None:
        return None, None
    noted = json.loads(version.tags.get(INTERVAL_TAG, "{}"))
    if noted.get("metric") == metric:
        return noted["low"], noted["high"]
    low, high = _stored_interval(client, run, metric)
    if remember:
        text = json.dumps({"metric": metric, "low": low, "high": high})
        client.set_model_version_tag(version.name, version.version, INTERVAL_TAG, text)
    return low, high


def _stored_interval(client: "MlflowClient", run: "Run", metric: str) -> tuple[float | None, float | None]:
    """None where the run stores none."""
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as folder, suppress(MlflowException, OSError, ValueError):
        file = Path(client.download_artifacts(run.info.run_id, "intervals.csv", folder))
        for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
            if row["metric"].lstrip("'") == metric:
                return float(row["low"]), float(row["high"])
    return None, None


def _runs(client: "MlflowClient", experiments: list[str], name: str, step: str) -> list["Run"]:
    """The newest runs of a command about a model, oldest first."""
    finished = f"tags.`varjepa.step` = '{step}' and attributes.status = 'FINISHED'"
    found = [run for mark in "/@" for run in _newest(client, experiments, finished, f"models:/{name}{mark}")]
    return sorted(sorted(found, key=lambda run: -run.info.start_time)[:MOST], key=_when)


def _newest(client: "MlflowClient", experiments: list[str], asked: str, begin: str) -> list["Run"]:
    """The newest runs whose model begins so. An underline in a search stands for any letter: others are found, too."""
    asked, order = f"{asked} and tags.`varjepa.model` LIKE {quoted(f'{begin}%')}", ["attributes.start_time DESC"]
    found = results(client.search_runs, experiments, asked, order_by=order, max_results=MOST)
    return list(islice((run for run in found if run.data.tags["varjepa.model"].startswith(begin)), MOST))


def _failed(client: "MlflowClient", experiments: list[str], name: str) -> list["Run"]:
    """The newest retrains that failed or were killed."""
    asked = f"tags.`varjepa.step` = 'retrain' and params.`registry.name` = {quoted(name)}"
    order = ["attributes.start_time DESC"]
    ended = [
        client.search_runs(experiments, f"attributes.status = '{status}' and {asked}", order_by=order, max_results=MOST)
        for status in ("FAILED", "KILLED")
    ]
    return sorted((run for runs in ended for run in runs), key=_when, reverse=True)[:MOST]


def _failed_row(run: "Run") -> list[str]:
    return [_shown(run), run.info.status, shortened(run.data.tags.get(FAILURE, ""), LONGEST), run.info.run_id]


def _quality(run: "Run | None") -> str | None:
    """The metric by which a version is judged; None where there is none."""
    return None if run is None else next((metric for metric in QUALITY if metric in run.data.metrics), None)


def _measure(metric: str) -> str:
    """What is measured, without of what."""
    return metric.partition("/")[2]


def _version_row(
    version: Any, run: "Run | None", metric: str | None, ends: tuple[float | None, float | None], measure: str
) -> list[str]:
    """A line of the table of versions; a value of another measure than that of the newest version is named."""
    # The word alone: why stands beside it.
    verdict = str(version.tags.get("verdict") or version.tags.get(f"{GATE_TAG}.outcome", "")).partition(":")[0]
    value = "" if run is None or metric is None else figure(run.data.metrics[metric])
    if metric is not None and (other := _measure(metric)) != measure:
        value = f"{SPELLED.get(other, other)} {value}"
    low, high = ends
    interval = "" if low is None or high is None else f"{figure(low)} to {figure(high)}"
    reason = shortened(version.tags.get(GATE_TAG, ""), LONGEST)
    return [version.version, _day(version.creation_timestamp), value, interval, shortened(verdict, 60), reason]


def _drift_point(run: "Run") -> Point:
    score = run.data.metrics.get("drift/score", 0.0)
    return Point(_when(run), score, score, score, marked=run.data.metrics.get("drift/alarm", 0.0) > 0)


def _estimates(runs: list["Run"]) -> Iterator[Point]:
    key = "drift/estimated_accuracy"
    for run in runs:
        metrics = run.data.metrics
        if key in metrics:
            yield Point(_when(run), metrics[key], metrics[f"{key}_low"], metrics[f"{key}_high"])


def _true(runs: list["Run"], checked: str) -> Iterator[Point]:
    for run in runs:
        value = run.data.metrics.get(f"evaluate/{checked}")
        if value is not None:
            yield Point(_when(run), value, value, value)


def _drift_row(run: "Run") -> list[str]:
    metrics = run.data.metrics
    estimate = "" if "drift/estimated_accuracy" not in metrics else figure(metrics["drift/estimated_accuracy"])
    result = "alarm" if metrics.get("drift/alarm", 0) > 0 else run.data.tags.get("varjepa.drift", "")
    return [_shown(run), f"{metrics.get('drift/rows', 0):,.0f}", share(metrics.get("drift/score", 0.0), 2),
            result, estimate]  # fmt: skip


def _evaluation_row(run: "Run", checked: str) -> list[str]:
    value = run.data.metrics.get(f"evaluate/{checked}")
    rows, shown = f"{run.data.metrics.get('evaluate/rows', 0):,.0f}", "" if value is None else figure(value)
    return [_shown(run), run.data.tags["varjepa.model"], rows, shown]


def _when(run: "Run") -> datetime:
    """The day of the rows where they are those of a day, otherwise the time of the run."""
    day = run.data.tags.get(DAY_TAG)
    return datetime.fromisoformat(day).replace(tzinfo=UTC) if day else _time(run.info.start_time)


def _shown(run: "Run") -> str:
    return run.data.tags.get(DAY_TAG) or _day(run.info.start_time)


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _day(milliseconds: int) -> str:
    return _minute(_time(milliseconds))


def _minute(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
