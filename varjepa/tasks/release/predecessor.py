"""The predecessor of a new version: the champion of its name."""

from dataclasses import dataclass

from varjepa.config import RetrainConfig
from varjepa.tasks.registry.champion import CHAMPION
from varjepa.tasks.registry.tags import RUN_TAG
from varjepa.tasks.tracking.store import client_of


@dataclass(frozen=True)
class Predecessor:
    """The champion at the time when a version was made.

    Attributes:
        version: its number.
        run_id: run that made it; empty if unknown.
        fingerprint: of its data; empty if unknown.
    """

    version: int
    run_id: str
    fingerprint: str


def predecessor(config: RetrainConfig) -> Predecessor | None:
    """The current champion of the job's name; None if there is none."""
    from mlflow.exceptions import MlflowException

    client, name = client_of(config.tracking), config.registry.name
    try:
        version = client.get_model_version_by_alias(name, CHAMPION)
        # Our tag first: versions that were registered by other means have only MLflow's own field.
        run_id = version.tags.get(RUN_TAG) or version.run_id or ""
        fingerprint = client.get_run(run_id).data.tags.get("varjepa.fingerprint", "") if run_id else ""
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None  # no such model, no such alias, or a run that somebody deleted
        raise
    return Predecessor(int(version.version), run_id, fingerprint)
