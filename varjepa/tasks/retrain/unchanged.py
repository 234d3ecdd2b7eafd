"""Detects that the last retrain was the same job, and skips a retrain that would change nothing."""

from dataclasses import asdict, dataclass
from pathlib import Path

from varjepa.config import RetrainConfig, result_settings
from varjepa.tasks.answers.retrain import SkipAnswer
from varjepa.tasks.registry.verify import readable
from varjepa.tasks.retrain import (
    assess_generator,
    calibrate,
    compact,
    few_labels,
    generate,
    ingest,
    preprocess,
    pretrain,
    probe,
    reference,
    validate,
)
from varjepa.tasks.retrain.ingest import Snapshot
from varjepa.tasks.retrain.record import log_setup
from varjepa.tasks.signing.keys import own_trust
from varjepa.tasks.sources.fingerprints import file_fingerprint
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import code_digest, digest
from varjepa.tasks.tracking.killed_runs import JOB
from varjepa.tasks.tracking.runs import opened_run
from varjepa.tasks.tracking.store import client_of, experiment_id
from varjepa.tasks.tracking.uris import tracking_uri
from varjepa.visible import markdown_text

MODULES = (ingest, validate, preprocess, pretrain, compact, probe, few_labels, calibrate, generate, assess_generator,
           reference)  # fmt: skip
STEPS = tuple(module.STEP for module in MODULES)
"""Steps that determine a model and its measurements, in the order of the flow."""

SKIPPED = "varjepa.skipped"
"""Tag of a run that had nothing to do: the reason."""


@dataclass(frozen=True)
class Same:
    """A finished retrain of the same job.

    Attributes:
        run_id: its run.
        uri: the version that it made.
    """

    run_id: str
    uri: str

    @property
    def reason(self) -> str:
        """Why there is nothing to do, as text for people."""
        return f"data, settings and code are those of run {self.run_id}, which made {self.uri}"


def job_digest(config: RetrainConfig, snapshot: Snapshot) -> str:
    """Digest of data, settings, data contract and code, but not of locations, machines or destinations.

    All settings that change a result count, including those of the gate and of the registry: another margin may give
    another decision, although no earlier step has to be repeated.
    """
    contract = Path(config.contract.path) if config.contract.path else None
    rules = file_fingerprint((contract,)) if contract is not None and contract.is_file() else None
    return digest(result_settings(config), snapshot.fingerprint, rules, [code_digest(step.module) for step in STEPS])


def last_retrain(config: RetrainConfig, job: str) -> Same | None:
    """The last finished retrain of this name, if it was the same job and its version still exists."""
    client, name = client_of(config.tracking), config.registry.name
    finished = "attributes.status = 'FINISHED' and tags.`varjepa.step` = 'retrain'"
    # Only runs that registered a version: dry runs and skipped runs do not count.
    registering = f"{finished} and params.`registry.name` = '{name}' and tags.`varjepa.model` LIKE 'models:/%'"
    order = ["attributes.start_time DESC"]
    runs = client.search_runs([experiment_id(config.tracking)], registering, order_by=order, max_results=1)
    # An older run of the same job does not count: the champion may have changed since.
    if not runs or runs[0].data.tags.get(JOB) != job:
        return None
    uri = runs[0].data.tags["varjepa.model"]
    # Somebody may have deleted the version, or lost its files; or it is not signed yet.
    if not readable(uri, tracking_uri(config.tracking), own_trust(config.signing)):
        return None
    return Same(runs[0].info.run_id, uri)


@task(name="skip", task_run_name="skip {config.registry.name}")
def skip(config: RetrainConfig, snapshot: Snapshot, same: Same) -> SkipAnswer:
    """Records a run with the reason why nothing was done; returns the object that a command prints."""
    client = client_of(config.tracking)
    with opened_run(config.tracking, command="schedule", name=config.registry.name) as run_id:
        log_setup.fn(run_id, config, snapshot)
        client.set_tag(run_id, SKIPPED, same.reason)
        client.set_tag(run_id, "mlflow.note.content", f"Skipped: {markdown_text(same.reason)}.")
    return {
        "run_id": run_id,
        "skipped": True,
        "reason": same.reason,
        "same": asdict(same),
        "data": {"rows": snapshot.rows, "fingerprint": snapshot.fingerprint},
    }
