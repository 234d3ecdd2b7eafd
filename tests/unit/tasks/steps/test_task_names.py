"""What people read of a step in Prefect's pages."""

import pytest

from varjepa.tasks.release.publish import publish_card, summarise
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.steps.orchestrated import StepTask
from varjepa.tasks.tracking.runs import log_artifacts


@pytest.mark.parametrize(
    ("step", "name"),
    [(publish_card, "model card"), (summarise, "summarise"), (log_artifacts, "log artifacts"), (ingest, "ingest")],
)  # fmt: skip
def test_runs_are_named_without_random_digits(step: StepTask[..., object], name: str) -> None:
    assert step.task_run_name == name
