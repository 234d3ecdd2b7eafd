"""Step 2: hold the snapshot against the data contract before anything else is done with it."""

from pathlib import Path

from prefect import task

from tasks.contract.run import Validation, validate
from tasks.retrain.ingest import Snapshot
from tasks.steps.log import log
from tasks.steps.reuse import Step, reuse
from varjepa.config import RetrainConfig
from varjepa.data.read.contract import Contract, load_contract

STEP = Step("validate", __name__)
"""What the contract says counts, not where it lies."""


@task(name="validate", task_run_name="validate")
def check_contract(snapshot: Snapshot, config: RetrainConfig) -> Validation:
    """Runs the contract's expectations on every row; bad rows go into quarantine.

    Raises:
        ConfigError: the contract cannot be read.
        ContractError: a table rule is broken, or too many rows are.
    """
    contract = contract_of(config)
    folder = evidence_folder(snapshot, contract)
    validation = reuse(folder, Validation, lambda: validate(snapshot.path, contract, folder))
    if validation.quarantined:
        log.warning(
            "%d of %d rows are in quarantine: %s", validation.quarantined, validation.rows, validation.quarantine
        )
    return validation


def contract_of(config: RetrainConfig) -> Contract:
    """The contract of the job; one without promises where it names none.

    Raises:
        ConfigError: it cannot be read.
    """
    return load_contract(config.contract.path) if config.contract.path else Contract()


def evidence_folder(snapshot: Snapshot, contract: Contract) -> Path:
    """Where the validation of this snapshot leaves its files."""
    return STEP.folder(None, str(snapshot.path), contract.model_dump(mode="json"))


def evidence(snapshot: Snapshot, config: RetrainConfig) -> dict[str, Path]:
    """What a validation, passed or not, left for people: place among a run's artifacts -> file or folder."""
    folder = evidence_folder(snapshot, contract_of(config))
    places = {"validation/docs": folder / "docs", "validation": folder / "quarantine.parquet"}
    found = {place: path for place, path in places.items() if path.exists()}
    if config.contract.path:
        found["contract"] = Path(config.contract.path)
    return found
