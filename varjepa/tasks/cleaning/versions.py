"""Removes old versions of registered models with their runs, old runs, and what was deleted in the tracking UI."""

from typing import TYPE_CHECKING, Any

from varjepa.tasks.cleaning.garbage import Doomed, delete_for_good, size_at
from varjepa.tasks.cleaning.policy import Policy, Removed
from varjepa.tasks.registry.champion import history, succession
from varjepa.tasks.registry.search import every, every_model, versions_of
from varjepa.tasks.registry.tags import RUN_TAG
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.locks import registry_lock
from varjepa.tasks.tracking.store import client_for

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

FORMER = 2
"""The champion and the one that a rollback would bring back."""

PASSING = ("retrain", "schedule", "drift", "evaluate")
"""Commands whose runs may be removed by age. Studies stay: they were asked for once, and are read later."""


def clean_store(uri: str, policy: Policy) -> tuple[list[Removed], list[str]]:
    """Removes what the policy says from a tracking store.

    Kept in any case: versions with an alias, the champion and its predecessor, versions and runs in progress, and the
    newest finished retrain of a model, by which a schedule knows that nothing has changed.

    Returns:
        What was removed, and sentences about what had to stay.
    """
    client, doomed = client_for(uri), Doomed()
    removed = [found for name in _names(client, policy) for found in _clean_versions(client, uri, name, policy, doomed)]
    removed += _old_runs(client, policy, doomed)
    if policy.dry_run:
        return removed, []
    return removed, delete_for_good(client, uri, policy, doomed)


def _names(client: "MlflowClient", policy: Policy) -> list[str]:
    if policy.keep is None:
        return []
    names = [model.name for model in every_model(client)]
    return [name for name in names if policy.name in (None, name)]


def _clean_versions(client: "MlflowClient", uri: str, name: str, policy: Policy, doomed: Doomed) -> list[Removed]:
    """Deletes the versions of a name that nothing needs; their runs and models follow later."""
    with registry_lock(uri, name):
        surplus = _surplus(client, name, policy)
        numbers, removed = {version.version for version in surplus}, []
        # A run may have made a version of another name, too.
        needed = {_run_of(version) for version in every(client.search_model_versions)
                  if version.name != name or version.version not in numbers}  # fmt: skip
        for version in surplus:
            run_id = _run_of(version)
            models = _models_of(client, run_id) if run_id and run_id not in needed else []
            size = None if not models else sum(size_at(model.artifact_location) or 0 for model in models)
            why = f"{policy.keep} newer versions are kept"
            removed.append(Removed("version", f"models:/{name}/{version.version}", size, why))
            if policy.dry_run:
                continue
            client.delete_model_version(name, version.version)
            if run_id and run_id not in needed:
                _delete_run(client, run_id, doomed)
        return removed


def _surplus(client: "MlflowClient", name: str, policy: Policy) -> "list[ModelVersion]":
    """Versions that may go."""
    model, versions = client.get_registered_model(name), versions_of(client, name)
    needed = {int(number) for number in model.aliases.values()} | set(succession(history(client, name))[-FORMER:])
    needed |= {int(version.version) for version in versions[: policy.keep]}
    since = policy.cutoff if policy.older is not None else float("inf")
    return [
        version for version in versions
        if int(version.version) not in needed and version.creation_timestamp / 1000 < since
        and not _in_progress(client, _run_of(version))
    ]  # fmt: skip


def _run_of(version: "ModelVersion") -> str | None:
    return version.tags.get(RUN_TAG) or version.run_id or None


def _in_progress(client: "MlflowClient", run_id: str | None) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        return run_id is not None and client.get_run(run_id).info.status == "RUNNING"
    except MlflowException:  # deleted
        return False


def _models_of(client: "MlflowClient", run_id: str) -> "list[LoggedModel]":
    from mlflow.exceptions import MlflowException

    try:
        experiment = client.get_run(run_id).info.experiment_id
    except MlflowException:
        return []
    wanted = f"source_run_id = '{run_id}'"
    return every(client.search_logged_models, experiment_ids=[experiment], filter_string=wanted)


def _delete_run(client: "MlflowClient", run_id: str, doomed: Doomed) -> None:
    """Deletes a run with those nested in it and the models that they logged, as the tracking UI does."""
    from mlflow.exceptions import MlflowException

    for model in _models_of(client, run_id):
        client.delete_logged_model(model.model_id)
        doomed.models.append(model.model_id)
    try:
        experiment = client.get_run(run_id).info.experiment_id
        nested = every(client.search_runs, experiment_ids=[experiment],
                        filter_string=f"tags.mlflow.parentRunId = '{run_id}'")  # fmt: skip
        for one in [run.info.run_id for run in nested] + [run_id]:
            client.delete_run(one)
            doomed.runs.append(one)
    except MlflowException:
        log.warning("the run %s is gone already", run_id)


def _old_runs(client: "MlflowClient", policy: Policy, doomed: Doomed) -> list[Removed]:
    """Deletes runs of a pipeline that ended before the cutoff, if an age was asked for, and no version came from."""
    if policy.older is None:
        return []
    needed = {_run_of(version) for version in every(client.search_model_versions)}
    experiments = [experiment.experiment_id for experiment in every(client.search_experiments)]
    ended = f"attributes.status != 'RUNNING' and attributes.end_time < {int(policy.cutoff * 1000)}"
    removed: list[Removed] = []
    for run in every(client.search_runs, experiment_ids=experiments, filter_string=ended):
        step, gone = run.data.tags.get("varjepa.step"), set(doomed.runs)
        if policy.name not in (None, run.data.params.get("registry.name")):
            continue
        if step in PASSING and run.info.run_id not in needed | gone and not _is_newest(client, run):
            removed.append(Removed("run", run.info.run_name, size_at(run.info.artifact_uri), f"a run of {step} that is "
                                   "older, and made no version that is left"))  # fmt: skip
            if not policy.dry_run:
                _delete_run(client, run.info.run_id, doomed)
    return removed


def _is_newest(client: "MlflowClient", run: Any) -> bool:
    """Whether it is the last finished retrain of its model; see `varjepa.tasks.retrain.unchanged`."""
    name = run.data.params.get("registry.name")
    if run.info.status != "FINISHED" or run.data.tags.get("varjepa.step") != "retrain" or not name:
        return False
    wanted = f"attributes.status = 'FINISHED' and tags.`varjepa.step` = 'retrain' and params.`registry.name` = '{name}'"
    newest = client.search_runs(
        [run.info.experiment_id], wanted, order_by=["attributes.start_time DESC"], max_results=1
    )
    return bool(newest) and newest[0].info.run_id == run.info.run_id
