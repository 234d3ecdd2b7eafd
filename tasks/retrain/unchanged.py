"""What makes two retrains the same job, and what to do when the last one already was this job."""

from dataclasses import asdict, dataclass
from pathlib import Path

from prefect import task

from tasks.answers import SkipAnswer
from tasks.retrain import (
    assess_generator,
    calibrate,
    generate,
    ingest,
    preprocess,
    pretrain,
    probe,
    reference,
    validate,
)
from tasks.retrain.ingest import Snapshot, file_fingerprint
from tasks.retrain.record import log_setup
from tasks.steps.reuse import code_digest, digest
from tasks.tracking.killed_runs import JOB
from tasks.tracking.runs import opened_run
from tasks.tracking.store import client_of, experiment_id
from varjepa.config import RetrainConfig, result_settings

STEPS = tuple(
    module.STEP
    for module in (ingest, validate, preprocess, pretrain, generate, probe, calibrate, assess_generator, reference)
)
"""What decides what a model is and what is known of it, in the order of the flow."""

SKIPPED = "varjepa.skipped"
"""Tag of a run that found nothing to do: why."""


@dataclass(frozen=True)
class Same:
    """A finished retrain that was this very job.

    Attributes:
        run_id: its run.
        uri: the version that came of it.
    """

    run_id: str
    uri: str

    @property
    def reason(self) -> str:
        """Why there is nothing to do, in words."""
        return f"data, settings and code are those of run {self.run_id}, which made {self.uri}"


def job_digest(config: RetrainConfig, snapshot: Snapshot) -> str:
    """Stands for data, settings, data contract and code; not for where they lie, are computed, and where results go.

    All settings that change a result count here, those of the gate and of the registry too: another margin is another
    decision, though no step before it has to be done again.
    """
    contract = Path(config.contract.path) if config.contract.path else None
    promised = file_fingerprint((contract,)) if contract is not None and contract.is_file() else None
    return digest(result_settings(config), snapshot.fingerprint, promised, [code_digest(step.module) for step in STEPS])


def last_retrain(config: RetrainConfig, job: str) -> Same | None:
    """The last finished retrain that registered this name, if it was this job and its version is still there."""
    from mlflow.exceptions import MlflowException

    client, name = client_of(config.tracking), config.registry.name
    finished = "attributes.status = 'FINISHED' and tags.`varjepa.step` = 'retrain'"
    mine = f"{finished} and params.`registry.name` = '{name}' and tags.`varjepa.model` LIKE 'models:/%'"
    order = ["attributes.start_time DESC"]
    found = client.search_runs([experiment_id(config.tracking)], mine, order_by=order, max_results=1)
    if not found or found[0].data.tags.get(JOB) != job:
        return None
    uri = found[0].data.tags["varjepa.model"]
    try:
        client.get_model_version(name, uri.rpartition("/")[2])
    except MlflowException:
        return None
    return Same(found[0].info.run_id, uri)


@task(name="skip", task_run_name="skip {config.registry.name}")
def skip(config: RetrainConfig, snapshot: Snapshot, same: Same) -> SkipAnswer:
    """Leaves a run that says why nothing was done, and answers what a command prints."""
    client = client_of(config.tracking)
    with opened_run(config.tracking, command="schedule", name=config.registry.name) as run_id:
        log_setup.fn(run_id, config, snapshot)
        client.set_tag(run_id, SKIPPED, same.reason)
        client.set_tag(run_id, "mlflow.note.content", f"Skipped: {same.reason}.")
    return {
        "run_id": run_id,
        "skipped": True,
        "reason": same.reason,
        "same": asdict(same),
        "data": {"rows": snapshot.rows, "fingerprint": snapshot.fingerprint},
    }
