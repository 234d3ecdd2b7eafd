"""Step 2: check the snapshot against the data contract before any other step uses it."""

from pathlib import Path

from varjepa.config import RetrainConfig
from varjepa.data.read.contract import Contract, load_contract
from varjepa.tasks.contract.run import Validation, validate
from varjepa.tasks.retrain.ingest import Snapshot
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse

STEP = Step("validate", __name__)
"""Reads no settings: the content of the contract is an input, its path does not matter."""


@task(name="validate", task_run_name="validate")
def check_contract(snapshot: Snapshot, config: RetrainConfig) -> Validation:
    """Runs the contract's expectations on every row; bad rows go into quarantine.

    Raises:
        ConfigError: the contract cannot be read.
        ContractError: a table rule is broken, or too many rows break a row rule.
    """
    contract = contract_for(snapshot, config)
    folder = evidence_folder(snapshot, contract)
    validation = reuse(folder, Validation, lambda: validate(snapshot.path, contract, folder))
    if validation.quarantined:
        log.warning(
            "%d of %d rows are in quarantine: %s", validation.quarantined, validation.rows, validation.quarantine
        )
    return validation


def contract_of(config: RetrainConfig) -> Contract:
    """The contract of the job; an empty one if the job has none.

    Raises:
        ConfigError: it cannot be read.
    """
    return load_contract(config.contract.path) if config.contract.path else Contract()


def contract_for(snapshot: Snapshot, config: RetrainConfig) -> Contract:
    """The contract as it applies to a snapshot: `min_rows` is about the source, of which the snapshot may be a sample.

    Raises:
        ConfigError: it cannot be read.
    """
    contract = contract_of(config)
    if snapshot.rows < contract.min_rows <= snapshot.source_rows:
        return contract.model_copy(update={"min_rows": snapshot.rows})
    return contract


def evidence_folder(snapshot: Snapshot, contract: Contract) -> Path:
    """Folder for the files of this snapshot's validation."""
    return STEP.folder(None, str(snapshot.path), contract.model_dump(mode="json"))


def evidence(snapshot: Snapshot, config: RetrainConfig) -> dict[str, Path]:
    """Files of a validation, passed or not, for people: place among a run's artifacts -> file or folder."""
    folder = evidence_folder(snapshot, contract_for(snapshot, config))
    places = {"validation/docs": folder / "docs", "validation": folder / "quarantine.parquet"}
    # A validation that failed early may lack some of them.
    files = {place: path for place, path in places.items() if path.exists()}
    if config.contract.path:
        files["contract"] = Path(config.contract.path)
    return files
