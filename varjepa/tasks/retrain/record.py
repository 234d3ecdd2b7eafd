"""Inputs that a retrain writes to its run: settings, data, preprocessing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from varjepa.config import RetrainConfig, as_flat
from varjepa.config.operations import TrackingSection
from varjepa.tasks.retrain.ingest import Snapshot
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.steps.retries import retried_task
from varjepa.tasks.tracking.runs import opened_run
from varjepa.tasks.tracking.store import client_of


@contextmanager
def tracked_run(config: RetrainConfig, job: str) -> Iterator[str]:
    """Opens the run of a retrain, or resumes the killed run of the same job, and yields its id."""
    with opened_run(config.tracking, command="retrain", name=config.registry.name, job=job, told=True) as run_id:
        yield run_id


@retried_task("log set-up")
def log_setup(run_id: str, config: RetrainConfig, snapshot: Snapshot) -> None:
    """Writes the resolved configuration and the data set (fingerprint, schema, size); keeps existing parameters."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param

    client, config = client_of(config.tracking), snapshot.sized(config)
    # MLflow refuses to change a parameter, so a resumed run keeps those that it has. 6,000 characters are its limit.
    logged = client.get_run(run_id).data.params
    parameters = [Param(name, str(value)[:6000]) for name, value in as_flat(config).items() if name not in logged]
    client.log_batch(run_id, params=parameters)
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


def _mlflow_type(dtype: str) -> str:
    """MLflow's name for a Polars type."""
    kind = dtype.rstrip("0123456789")
    words = {"Int": "long", "UInt": "long", "Float": "double", "Boolean": "boolean", "Date": "datetime"}
    return "datetime" if dtype.startswith("Datetime") else words.get(kind, "string")


@retried_task("log prepared")
def log_prepared(run_id: str, tracking: TrackingSection, prepared: Prepared) -> None:
    """Writes the number of rows per part, and the columns that are not features."""
    client = client_of(tracking)
    facts = {"parts": prepared.parts, "left_out": prepared.left_out, "joined": prepared.joined}
    client.log_dict(run_id, facts, "preprocess.json")
