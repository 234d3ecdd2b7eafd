"""The floors of the house: who may import whom (see [tool.importlinter] in pyproject.toml)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


LINTER = Path(sys.executable).with_name("lint-imports")


def test_imports_run_down_only() -> None:
    done = subprocess.run([LINTER], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_circle_between_rooms_is_refused(tmp_path: Path) -> None:
    """`fit` imports `encode`; the way back breaks the contract, even where it serves type annotations only."""
    shutil.copytree(ROOT / "varjepa", tmp_path / "varjepa", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "varjepa/data/encode/one_hot.py").open("a") as file:
        file.write("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import varjepa.data.fit.rows_protocol\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [LINTER, "--no-cache"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert broken == ["No circles between files or rooms BROKEN"], done.stdout


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--help"], ["retrain", "--help"], ["simulate", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    script = f"""
import sys
from varjepa.flows.cli import guarded, cli
guarded(lambda: cli.main({words!r}, standalone_mode=False), [])
heavy = {{"torch", "polars", "prefect", "mlflow", "sklearn", "great_expectations", "numpy"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


LATE = {
    "torch._dynamo",
    "sympy",
    "prefect",
    "mlflow",
    "sklearn",
    "xgboost",
    "scipy.stats",
    "scipy.optimize",
    "matplotlib",
}
"""Modules that take a good part of a second to import, and that scoring by a linear head does without."""


@pytest.mark.slow
def test_scoring_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    old = ROOT / "tests/flows/registered_by_40547f5"
    words = ["score", str(old / "var_t_jepa/model"), str(old / "rows.csv"), str(tmp_path / "out.parquet")]
    script = f"""
import sys
from varjepa.flows.cli import cli
cli.main({words!r}, standalone_mode=False)
from varjepa.inference.heads.mlp import Networks
networks = Networks(count=2, sizes=None, n_components=3, d_out=1, bends=True, drawn=False)
networks.load_state_dict({{}}, strict=False, assign=True)
late = {LATE!r} & set(sys.modules)
assert not late, late
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.parquet").is_file()


@pytest.mark.slow
def test_the_registry_is_read_without_torch() -> None:
    script = """
import sys
import varjepa.flows.show.registry, varjepa.tasks.registry.listing, varjepa.tasks.tracking.store
late = {"torch", "prefect", "sklearn", "xgboost", "scipy", "matplotlib", "great_expectations"} & set(sys.modules)
assert not late, late
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
