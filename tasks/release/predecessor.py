"""What a new version comes after: the champion of its name."""

from dataclasses import dataclass

from tasks.registry.champion import CHAMPION
from tasks.registry.tags import RUN_TAG
from tasks.tracking.store import client_of
from varjepa.config import RetrainConfig


@dataclass(frozen=True)
class Predecessor:
    """The champion that there was when a version was made.

    Attributes:
        version: its number.
        run_id: run that made it; empty where nobody knows.
        fingerprint: of its data; empty where nobody knows.
    """

    version: int
    run_id: str
    fingerprint: str


def predecessor(config: RetrainConfig) -> Predecessor | None:
    """The present champion of the job's name; None where it has none."""
    from mlflow.exceptions import MlflowException

    client, name = client_of(config.tracking), config.registry.name
    try:
        version = client.get_model_version_by_alias(name, CHAMPION)
        run_id = version.tags.get(RUN_TAG) or version.run_id or ""
        fingerprint = client.get_run(run_id).data.tags.get("varjepa.fingerprint", "") if run_id else ""
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None  # no such model, no such alias, or a run that somebody deleted
        raise
    return Predecessor(int(version.version), run_id, fingerprint)
