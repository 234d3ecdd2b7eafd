"""Flows import what every run of them needs, and leave the rest to the steps that use it."""

import subprocess
import sys

import pytest

LATER = ("duckdb", "fastapi", "great_expectations", "mlflow", "optuna", "pandas", "prefect.server", "rfc3987_syntax",
         "sklearn", "torch._dynamo", "xgboost")  # fmt: skip

STARTED = f"""
import sys
from varjepa.tasks.steps.imports import quick_imports
with quick_imports():
    from varjepa.tasks.orchestration import flow_runs, temporary_server
    from varjepa.flows import evaluate, monitor
    print("varjepa.flows.retrain" in sys.modules)
    from varjepa.flows import retrain, schedule, score, tune, watch
print([name for name in {LATER} if name in sys.modules])
"""


@pytest.mark.slow
def test_what_only_some_steps_need_is_not_imported_at_the_start() -> None:
    done = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["False", "[]"]), done.stderr
