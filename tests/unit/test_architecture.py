"""The floors of the house: who may import whom (see [tool.importlinter] in pyproject.toml)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_imports_run_down_only() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_training_core_needs_torch_and_numpy_only() -> None:
    """Layers, model, objective and loop run where there are no data frames: a bare GPU machine, say."""
    blocked = (
        "polars",
        "pandas",
        "pyarrow",
        "sklearn",
        "scipy",
        "matplotlib",
        "mlflow",
        "prefect",
        "great_expectations",
        "duckdb",
    )
    script = f"""
import sys
for name in {blocked!r}:
    sys.modules[name] = None
import varjepa.training.loop, varjepa.study.pair_trainer, varjepa.evaluation.epoch_scores
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [["--help"], ["retrain", "--help"], ["simulate", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    script = f"""
import sys
from flows.cli import guarded, cli
guarded(lambda: cli.main({words!r}, standalone_mode=False), [])
heavy = {{"torch", "polars", "prefect", "mlflow", "sklearn", "great_expectations", "numpy"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout
