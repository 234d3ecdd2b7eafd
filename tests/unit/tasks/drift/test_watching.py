"""Which comparisons of the same rows let a watch skip them."""

import shutil
from pathlib import Path

import pytest

from varjepa.config import RetrainConfig, parse_config
from varjepa.tasks.drift.watching import OF_THE_PAST, WATCHED, compared_before
from varjepa.tasks.tracking.store import client_of, experiment_id

pytestmark = pytest.mark.slow  # MLflow makes a database

ROWS = {WATCHED: "1 fingerprint"}


@pytest.fixture
def config(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RetrainConfig:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(migrated, tmp_path / "mlflow.db")
    tracking = {"uri": f"sqlite:///{tmp_path}/mlflow.db"}
    return parse_config({"data": {"path": "a.csv"}, "registry": {"name": "people"}, "tracking": tracking})


@pytest.mark.parametrize(
    ("tags", "status", "watch", "backfill"),
    [
        (ROWS, "FINISHED", True, True),
        (ROWS | {OF_THE_PAST: "yes"}, "FINISHED", False, True),  # nobody was told: the schedule compares again
        (ROWS, "FAILED", False, False),
        ({WATCHED: "2 fingerprint"}, "FINISHED", False, False),
    ],
)
def test_what_counts_as_compared(
    config: RetrainConfig, tags: dict[str, str], status: str, *, watch: bool, backfill: bool
) -> None:
    client = client_of(config.tracking)
    model = {"varjepa.model": "models:/people@champion"}
    run = client.create_run(experiment_id(config.tracking), tags=tags | model)
    client.set_terminated(run.info.run_id, status)
    assert compared_before(config, ROWS, backfill=False) is watch
    assert compared_before(config, ROWS, backfill=True) is backfill
