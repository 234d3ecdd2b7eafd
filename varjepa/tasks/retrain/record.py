"""Inputs that a retrain writes to its run: settings, data, preprocessing."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from varjepa.config import RetrainConfig, as_flat
from varjepa.tasks.retrain.ingest import Snapshot
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.steps.retries import retried_task
from varjepa.tasks.tracking.runs import opened_run
from varjepa.tasks.tracking.store import client_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

LONGEST = 6000
"""Characters of a parameter that MLflow keeps."""


@contextmanager
def tracked_run(config: RetrainConfig, job: str) -> Iterator[str]:
    """Opens the run of a retrain, or resumes the killed run of the same job, and yields its id."""
    with opened_run(config.tracking, command="retrain", name=config.registry.name, job=job, told=True) as run_id:
        yield run_id


@retried_task("log set-up")
def log_setup(run_id: str, config: RetrainConfig, snapshot: Snapshot) -> None:
    """Writes the configuration and the data set (fingerprint, schema, size); keeps existing parameters.

    What the table decides follows once it is encoded (`log_prepared`).
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    client = client_of(config.tracking)
    decided = as_flat(config.sized(1, 1))
    _log_settings(client, run_id, {name: value for name, value in as_flat(config).items() if value == decided[name]})
    client.log_dict(run_id, config.model_dump(mode="json"), "config.json")
    schema = {
        "mlflow_colspec": [{"type": _mlflow_type(t), "name": c, "required": True} for c, t in snapshot.columns.items()]
    }
    data = Dataset(
        name=config.registry.name,
        digest=snapshot.fingerprint[:36],  # the longest that MLflow accepts; the tag below has all of it
        source_type="local",
        source=json.dumps({"uri": snapshot.source}),
        schema=json.dumps(schema),
        profile=json.dumps({"num_rows": snapshot.rows, "num_elements": snapshot.rows * len(snapshot.columns)}),
    )
    client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "retrain")])])
    client.set_tag(run_id, "varjepa.fingerprint", snapshot.fingerprint)


def _log_settings(client: "MlflowClient", run_id: str, settings: Mapping[str, Any]) -> None:
    """Writes parameters. MLflow refuses to change one, so a resumed run keeps those that it has."""
    from mlflow.entities import Param

    logged = client.get_run(run_id).data.params
    parameters = [Param(name, str(value)[:LONGEST]) for name, value in settings.items() if name not in logged]
    client.log_batch(run_id, params=parameters)


def _mlflow_type(dtype: str) -> str:
    """MLflow's name for a Polars type."""
    kind = dtype.rstrip("0123456789")
    words = {"Int": "long", "UInt": "long", "Float": "double", "Boolean": "boolean", "Date": "datetime"}
    return "datetime" if dtype.startswith("Datetime") else words.get(kind, "string")


@retried_task("log prepared")
def log_prepared(run_id: str, config: RetrainConfig, prepared: Prepared) -> None:
    """Writes all settings, the number of rows per part, and the columns that are not features."""
    client = client_of(config.tracking)
    _log_settings(client, run_id, as_flat(config))
    client.log_dict(run_id, config.model_dump(mode="json"), "config.json")
    facts = {"parts": prepared.parts, "left_out": prepared.left_out, "joined": prepared.joined}
    client.log_dict(run_id, facts, "preprocess.json")
