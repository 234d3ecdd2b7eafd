"""Names, places and arguments are checked before anything heavy is imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CONFIGS = Path(__file__).parents[3] / "configs"

WRONG = {
    "an unknown model": ["score", "models:/nosuch/1", "rows.csv", "out.csv"],
    "an unknown folder": ["impute", "nosuch", "rows.csv", "out.csv"],
    "a store that is not there": ["models", "--tracking-uri", "sqlite:///typo.db"],
    "drift of an unknown model": ["drift", "models:/nosuch@champion", "rows.csv"],
    "drift on no table": ["drift", ".", "nosuch.csv"],
    "a report that exists": ["drift", ".", "rows.csv", "--out", "rows.csv"],
    "an unknown job": ["drift", ".", "rows.csv", "--retrain", "nosuch.yaml"],
    "no table": ["score", ".", "nosuch.csv", "out.csv"],
    "an OUT that exists": ["score", ".", "rows.csv", "rows.csv"],
    "an unknown ending": ["sample", ".", "10", "out.xyz"],
    "a folder that is not there": ["sample", ".", "10", "nosuch/out.csv"],
    "an unknown group": ["score", ".", "rows.csv", "out.csv", "--columns", "embeding"],
    "no column to keep": ["score", "kept", "rows.csv", "out.csv", "--keep", "nam"],
    "an OUT of a search": ["similar", ".", "rows.csv", "rows.csv", "rows.csv"],
    "no table to search": ["outliers", ".", "nosuch.csv", "out.csv"],
    "pairs of an unknown model": ["duplicates", "models:/nosuch/1", "rows.csv", "out.csv"],
    "labels that are not there": ["evaluate", ".", "nosuch.csv"],
    "scores that are not there": ["evaluate", ".", "rows.csv", "--scored", "nosuch.csv", "--key", "a"],
    "a promotion of nothing": ["promote", "models:/nosuch/3"],
    "a rollback of nothing": ["rollback", "nosuch"],
    "a check of nothing": ["verify", "models:/nosuch/3"],
    "no job": ["retrain", "nosuch.yaml"],
    "a job without a table": ["retrain", str(CONFIGS / "demo.yaml"), "--set", "data.path=nosuch.csv"],
    "a job without a contract": ["retrain", str(CONFIGS / "demo.yaml"), "--set", "contract.path=nosuch.yaml"],
    "a tuned job that exists": ["tune", str(CONFIGS / "demo.yaml"), "--out", "rows.csv"],
    "a budget that is none": ["tune", str(CONFIGS / "demo.yaml"), "--budget", "soon"],
    "an unknown data set": ["benchmark", "--datasets", "nosuch"],
    "an unknown variant": ["simulate", "--variants", "Z"],
    "no table to begin with": ["init", "nosuch.csv"],
}

PROGRAM = """
import json, sys
from varjepa.flows.cli import cli
from varjepa.flows.failures import guarded
for name, words in json.loads(sys.argv[1]).items():
    code = guarded(lambda: cli.main(words, standalone_mode=False), words)
    print(json.dumps([name, code, sorted({"torch", "mlflow", "prefect"} & {*sys.modules})]))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, list[str]]]:
    folder = tmp_path_factory.mktemp("home")
    (folder / "rows.csv").write_text("a,b\n1,2\n")
    (folder / "kept").mkdir()
    (folder / "kept" / "config.json").write_text('{"data": {"path": "x.csv"}}')
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(WRONG)], capture_output=True, text=True, check=True, cwd=folder
    )
    assert not (folder / "mlruns").exists()
    assert not (folder / "typo.db").exists()
    return {name: (code, heavy) for name, code, heavy in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_shows_before_heavy_imports(answers: dict[str, tuple[int, list[str]]], name: str) -> None:
    assert answers[name] == (2, [])
