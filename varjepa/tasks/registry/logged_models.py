"""Models that a run has logged, and logging a model without ending the run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from varjepa.tasks.registry.search import every

if TYPE_CHECKING:
    from mlflow import MlflowClient

VARIABLE = "MLFLOW_TRACKING_URI"
DIGEST_TAG = "varjepa.model_digest"
MODULES = "_MODULES_TO_PACKAGES"
"""Where MLflow keeps the packages of modules once it has looked for them."""


def use_store(uri: str) -> None:
    """Sets MLflow's global tracking store, and restores the environment variable, which MLflow changes, too.

    The variable must not change because it overrides configurations (see `tracking_uri`).
    """
    import mlflow

    before = os.environ.get(VARIABLE)
    mlflow.set_tracking_uri(uri)
    os.environ.pop(VARIABLE, None)
    if before is not None:
        os.environ[VARIABLE] = before


@contextmanager
def active_run(run_id: str) -> Iterator[None]:
    """Makes a run the active run of MLflow during the block.

    MLflow would set it to FINISHED afterwards. It stays RUNNING, so that it can be recognised if the process is killed.
    """
    import mlflow

    mlflow.start_run(run_id=run_id)
    try:
        yield
    finally:
        mlflow.end_run("RUNNING")


@contextmanager
def unlisted_packages() -> Iterator[None]:
    """Spares MLflow the lists of files of all installed packages, which take most of a second per process.

    It would look there for the module of every requirement of a model, to warn of other versions.
    """
    from mlflow.utils import requirements_utils

    known = getattr(requirements_utils, MODULES, None)
    setattr(requirements_utils, MODULES, known or {})
    try:
        yield
    finally:
        setattr(requirements_utils, MODULES, known)


def logged_before(client: "MlflowClient", run_id: str, fingerprint: str) -> str | None:
    """The URI of the same model, if the run logged it before its process was killed; deletes incomplete models."""
    experiment = client.get_run(run_id).info.experiment_id
    logged = every(client.search_logged_models, [experiment], filter_string=f"source_run_id = '{run_id}'")
    same = [model for model in logged if model.tags.get(DIGEST_TAG) == fingerprint]
    for model in same:
        if str(model.status) != "READY":
            client.delete_logged_model(model.model_id)
    return next((model.model_uri for model in same if str(model.status) == "READY"), None)
