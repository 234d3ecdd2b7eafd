"""Whatever a library makes of Ctrl-C or SIGTERM, a command says that it was interrupted, and so does its run."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

INTERRUPTED = """
import os, signal, sys
import polars as pl
from varjepa.config.operations import TrackingSection
from varjepa.flows.failures import INTERRUPTED, guarded
from varjepa.tasks.processes.signals import end_on_signals
from varjepa.tasks.steps.orchestrated import go_without, one_run
from varjepa.tasks.steps.retries import retried_task
from varjepa.tasks.tracking.runs import nested_run, opened_run

tracking, number = TrackingSection(uri=sys.argv[1]), int(sys.argv[2])

class Late:
    def __del__(self, kill=os.kill, own=os.getpid()):
        kill(own, number)  # once the interpreter has put back its own handlers

def arrives(cells):
    signal.raise_signal(number)
    return cells

@retried_task("looks", seconds=0)
def looks():
    print("looks", flush=True)
    pl.DataFrame({"a": [1]}).select(pl.col("a").map_batches(arrives))  # Polars raises an error of its own

def command():
    with one_run(), opened_run(tracking, command="retrain", name="people", told=True) as run_id:
        go_without("No server.", quiet=True)
        with nested_run(tracking, run_id, step="part", name="part"):
            looks()

late, ends = Late(), end_on_signals("too slow")
code = guarded(command, ["retrain"])
ends()
sys.exit(code)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_that_a_library_turns_into_an_error_stays_one(
    number: signal.Signals, migrated: Path, tmp_path: Path
) -> None:
    store = tmp_path / "mlflow.db"
    store.write_bytes(migrated.read_bytes())
    words = [sys.executable, "-c", INTERRUPTED, f"sqlite:///{store}", str(int(number))]
    # MLflow leaves the store that a test before this one has used in the environment, where it outranks the given one.
    own = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(words, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "looks\n"  # and not again, as after an error that may pass
    assert "varjepa: Interrupted. Run the same command again to resume." in done.stderr
    assert "error" not in done.stderr
    assert done.returncode == 1  # and no death by a signal that arrived at the very end
    with closing(sqlite3.connect(store)) as connection:
        found = connection.execute("select status from runs order by start_time").fetchall()
        told = connection.execute("select value from tags where key = 'verdict'").fetchall()
    assert found == [("KILLED",), ("KILLED",)]
    assert told == [("interrupted",)]
