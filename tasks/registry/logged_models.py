"""Models that a run has logged, and logging one without ending the run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

VARIABLE = "MLFLOW_TRACKING_URI"
DIGEST_TAG = "varjepa.model_digest"


def use_store(uri: str) -> None:
    """Points MLflow's global setting at a store, but not the environment, which wins over a config (`tracking_uri`)."""
    import mlflow

    said = os.environ.get(VARIABLE)
    mlflow.set_tracking_uri(uri)
    os.environ.pop(VARIABLE, None)
    if said is not None:
        os.environ[VARIABLE] = said


@contextmanager
def active_run(run_id: str) -> Iterator[None]:
    """Makes a run MLflow's active one.

    MLflow would end it as FINISHED afterwards; it goes on, and who looks for killed runs must see that.
    """
    import mlflow

    mlflow.start_run(run_id=run_id)
    try:
        yield
    finally:
        mlflow.end_run("RUNNING")


def logged_before(client: "MlflowClient", run_id: str, fingerprint: str) -> str | None:
    """The URI of this very model where the run logged it before its process was killed; deletes half-logged ones."""
    experiment = client.get_run(run_id).info.experiment_id
    found = client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'")
    same = [model for model in found if model.tags.get(DIGEST_TAG) == fingerprint]
    for model in same:
        if str(model.status) != "READY":
            client.delete_logged_model(model.model_id)
    return next((model.model_uri for model in same if str(model.status) == "READY"), None)
