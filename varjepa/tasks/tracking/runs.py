"""Opens runs in the tracking store, and writes metrics, tags and artifacts to them."""

import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from varjepa.config.operations import TrackingSection
from varjepa.errors import reason_of
from varjepa.tasks.lineage.record import known_as
from varjepa.tasks.processes.owner import ASKED, TakenOverError, lost_turn, owner_tags, require_turn, waiting
from varjepa.tasks.processes.signals import interruptions_restored, undisturbed
from varjepa.tasks.steps.code import git_commit
from varjepa.tasks.steps.retries import retried_task
from varjepa.tasks.tracking.headlines import SHORT, VERDICT, curves
from varjepa.tasks.tracking.killed_runs import FAILURE, JOB, taken_over
from varjepa.tasks.tracking.locks import host_lock
from varjepa.tasks.tracking.names import user_name
from varjepa.tasks.tracking.patience import TrackingLostError
from varjepa.tasks.tracking.store import client_of, experiment_id
from varjepa.tasks.tracking.uris import tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient


@contextmanager
def opened_run(
    tracking: TrackingSection, *, command: str, name: str, job: str | None = None, again: str | None = None,
    told: bool = False,
) -> Iterator[str]:  # fmt: skip
    """Opens a run and yields its id; ends it as FINISHED, FAILED (with the reason as a tag) or KILLED.

    Runs of killed processes are ended first, except one of the same job, which is resumed.

    Args:
        tracking: the store.
        command: the command of `varjepa` that opens the run.
        name: model, data sets or variants, for the name of the run.
        job: digest of settings, data and code, if the run can be resumed after it was killed.
        again: id of an ended run to go on with, if the store still has it.
        told: whether the run has a tag `verdict`, which the caller writes when it ends well.
    """
    client = client_of(tracking)
    # MLflow shows tags in the order in which they were first set: what people read stands before what programs read.
    tags = ({VERDICT: "in progress"} if told else {}) | {
        "mlflow.user": user_name(),
        "mlflow.source.name": f"varjepa {command}",
        "mlflow.source.type": "LOCAL",
        "varjepa.step": command,
    }
    asked = waiting.get() if job is not None else None
    tags |= owner_tags() | ({JOB: job} if job is not None else {}) | ({ASKED: "yes"} if asked is not None else {})
    if commit := git_commit():
        tags["mlflow.source.git.commit"] = commit
    run_name = f"{command} {name} {time.strftime('%Y-%m-%d %H:%M:%S')}"
    experiment = experiment_id(tracking)
    with host_lock(tracking_uri(tracking), "runs"):  # otherwise two processes might resume the same run
        run_id = taken_over(client, experiment, job)
        if run_id is None and again is not None:
            run_id = _opened_again(client, again)
        if run_id is None:
            run_id = client.create_run(experiment, tags=tags, run_name=run_name).info.run_id
    if asked is not None:
        asked.append((tracking_uri(tracking), run_id))
    known_as(**{"mlflow.run_id": run_id})
    try:
        with interruptions_restored():
            yield run_id
        require_turn()
    except (TrackingLostError, TakenOverError):
        raise  # the run stays open: the next start, or another machine, resumes it
    except BaseException as error:
        if lost_turn():  # whatever has failed here, the run is that of another machine
            raise
        with undisturbed():  # a group's Ctrl-C and its parent's SIGTERM come one after the other
            _ended_badly(client, run_id, error, told=told)
        raise
    client.set_terminated(run_id, "FINISHED")


def _ended_badly(client: "MlflowClient", run_id: str, error: BaseException, *, told: bool) -> None:
    ending, reason = _ending(error), reason_of(error)
    # A transaction that was cut off keeps its lock while the traceback has its connection, and the writes below wait.
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__context__
    client.set_tag(run_id, FAILURE, reason[:4000])
    if told:
        client.set_tag(run_id, VERDICT, ("interrupted" if ending == "KILLED" else f"failed: {reason}")[:SHORT])
    client.set_terminated(run_id, ending)


def _ending(error: BaseException) -> str:
    """MLflow's word for the end of a run that did not end well."""
    return "FAILED" if isinstance(error, Exception) else "KILLED"


def _opened_again(client: "MlflowClient", run_id: str) -> str | None:
    """The run as one that is in progress, owned by this process; None if it was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        if client.get_run(run_id).info.lifecycle_stage != "active":
            return None
    except MlflowException:
        return None
    client.update_run(run_id, status="RUNNING")
    for name, value in owner_tags().items():
        client.set_tag(run_id, name, value)
    return run_id


@contextmanager
def nested_run(tracking: TrackingSection, parent_id: str, *, step: str, name: str) -> Iterator[str]:
    """Opens a run nested in another one and yields its id; ends it as FINISHED, FAILED or KILLED."""
    client = client_of(tracking)
    tags = {"mlflow.parentRunId": parent_id, "varjepa.step": step} | owner_tags()
    run_id = client.create_run(experiment_id(tracking), tags=tags, run_name=name).info.run_id
    try:
        with interruptions_restored():
            yield run_id
    except BaseException as error:
        client.set_terminated(run_id, _ending(error))
        raise
    client.set_terminated(run_id, "FINISHED")


class CurveLogger:
    """Writes the metrics of each epoch to a run exactly once, as curves over epochs that start at 1."""

    def __init__(self, run_id: str, tracking: TrackingSection) -> None:
        self.run_id, self.client = run_id, client_of(tracking)
        self.look()  # a resumed run has its first epochs already

    def look(self) -> None:
        """Looks which epochs the run has, also from other processes."""
        points = self.client.get_metric_history(self.run_id, "training/rows_per_second")
        self.logged = {float(point.step - 1) for point in points}

    def log(self, metrics: dict[str, float]) -> None:
        """Logs one epoch, unless it is already logged.

        Raises:
            TakenOverError: another machine goes on with this run.
        """
        from mlflow.entities import Metric

        require_turn()
        if metrics["epoch"] in self.logged:
            return
        self.logged.add(metrics["epoch"])
        now, step = int(time.time() * 1000), int(metrics["epoch"]) + 1
        values = [Metric(name, value, now, step) for name, value in curves(metrics).items() if name != "epoch"]
        self.client.log_batch(self.run_id, metrics=values)


@retried_task("log artifacts")
def log_artifacts(run_id: str, tracking: TrackingSection, places: Mapping[str, Path | tuple[Path, ...]]) -> None:
    """Copies files and folders to a run.

    Args:
        run_id: the run.
        tracking: its store.
        places: artifact folder (empty for the root) -> file or folder to copy there, or several of them.
    """
    client = client_of(tracking)
    for place, paths in places.items():
        for path in paths if isinstance(paths, tuple) else (paths,):
            log = client.log_artifacts if path.is_dir() else client.log_artifact
            log(run_id, str(path), place or None)


@retried_task("log results")
def log_results(run_id: str, tracking: TrackingSection, metrics: dict[str, float], facts: dict[str, str]) -> None:
    """Writes final metrics, and facts as tags. Metrics that the run already has with the same value are skipped."""
    from mlflow.entities import Metric, RunTag

    client, now = client_of(tracking), int(time.time() * 1000)
    existing = client.get_run(run_id).data.metrics
    values = [Metric(name, value, now, 0) for name, value in metrics.items() if existing.get(name) != value]
    tags = [RunTag(name, value) for name, value in facts.items()]
    client.log_batch(run_id, metrics=values, tags=tags)
