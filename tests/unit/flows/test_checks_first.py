"""Names, places and arguments are checked before anything heavy is imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from varjepa.data.encode.features import CategoricalFeature
from varjepa.data.encode.preprocessor import Preprocessor

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
    "a misspelt label": ["retrain", "job.yaml", "--set", "data.label=bb"],
    "several misspelt columns": ["retrain", "job.yaml", "--set", "data.label=bb", "--set", "data.drop=[cc,x,a]"],
    "a misspelt table": ["impute", "kept", "rwos.csv", "out.csv"],
    "a table in no folder": ["evaluate", "kept", "data/rows.csv"],
    "a misspelt column to drop": ["retrain", "job.yaml", "--set", "data.drop=[bb]", "--plan"],
    "a misspelt time": ["retrain", "job.yaml", "--set", "data.split.by=time", "--set", "data.split.column=bb"],
    "a misspelt subgroup": ["tune", "job.yaml", "--set", "gate.subgroups=[bb]"],
    "a misspelt label of the job after drift": [
        "drift",
        "kept",
        "rows.csv",
        "--retrain",
        "job.yaml",
        "--set",
        "data.label=bb",
    ],
    "a misspelt label to begin with": ["init", "rows.csv", "--label", "bb", "--out", "job.yaml"],
    "rows without columns of the model": ["score", "kept", "few.csv", "out.csv"],
    "gaps in rows without columns of the model": ["impute", "kept", "few.csv", "out.csv"],
    "many files without columns of the model": ["score", "kept", "few.csv", "out", "--runner", "threads"],
    "no files for many": ["score", "kept", "nosuch", "out", "--runner", "threads"],
    "new rows without columns of the model": ["drift", "kept", "few.csv"],
    "rows to look for without columns": ["similar", "kept", "rows.csv", "few.csv", "out.csv"],
    "no label to evaluate": ["evaluate", "kept", "unlabelled.csv"],
    "no key to evaluate": ["evaluate", "kept", "rows.csv", "--scored", "rows.csv", "--key", "bb"],
    "an hour that no day has": ["schedule", "job.yaml", "--cron", "0 25 * * *"],
    "a day that no month has": ["watch", "job.yaml", "--cron", "0 3 31 2 *"],
    "no interval": ["schedule", "job.yaml", "--interval", "often"],
    "no zone": ["watch", "job.yaml", "--interval", "1h", "--timezone", "Europe/Berln"],
}

PROGRAM = """
import io, json, sys
from varjepa.flows.cli import cli
from varjepa.flows.failures import guarded
shown = sys.stdout
for name, words in json.loads(sys.argv[1]).items():
    sys.stderr, sys.stdout = io.StringIO(), io.StringIO()
    code = guarded(lambda: cli.main(words, standalone_mode=False), words)
    heavy = sorted({"torch", "mlflow", "prefect"} & {*sys.modules})
    print(json.dumps([name, [code, heavy, sys.stderr.getvalue() + sys.stdout.getvalue()]]), file=shown)
"""

Answers = dict[str, tuple[int, list[str], str]]
"""Case -> exit code, heavy libraries that were loaded, and what was said."""


def answers_to(commands: dict[str, list[str]], home: Path) -> Answers:
    """One process for all commands: a library that one of them loads is seen in those after it, too."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)], capture_output=True, text=True, check=True, cwd=home
    )
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables, a job, and the two files of a model that say which columns it reads."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "rows.csv").write_text("a,b,c,d\n1,2,3,4\n")
    (folder / "few.csv").write_text("b,d\n1,2\n")
    (folder / "unlabelled.csv").write_text("a,c\n1,2\n")
    (folder / "job.yaml").write_text("data: {path: rows.csv, label: b}")
    (folder / "kept").mkdir()
    (folder / "kept" / "config.json").write_text('{"data": {"path": "x.csv", "label": "b"}}')
    features = [CategoricalFeature(name=name, dtype="String", kind="categorical", vocabulary=("1",)) for name in "ac"]
    kept = Preprocessor(numeric=(), categorical=tuple(features), label=None, order=("a", "c"), left_out={})
    (folder / "kept" / "preprocessor.json").write_text(kept.model_dump_json())
    return folder


@pytest.fixture(scope="module")
def answers(home: Path) -> Answers:
    found = answers_to(WRONG, home)
    assert not (home / "mlruns").exists()
    assert not (home / "typo.db").exists()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_shows_before_heavy_imports(answers: Answers, name: str) -> None:
    assert answers[name][:2] == [2, []]


SAID = {
    "a misspelt label": 'data.label names "bb", which is not a column. Did you mean "b"?',
    "a misspelt time": 'data.split.column names "bb", which is not a column. Did you mean "b"?',
    "several misspelt columns": 'data.drop names "cc", "x" and data.label names "bb", which are not columns. Did you '
    'mean "c" for "cc", "b" for "bb"?',
    "a misspelt label to begin with": 'The label "bb" is not a column of rows.csv. Did you mean "b"?',
    "rows without columns of the model": '2 columns are missing in few.csv: "a", "c". Add the columns',
    "no label to evaluate": 'The column "b" is missing in unlabelled.csv.',
    "no key to evaluate": '--key names "bb", which is not a column.',
    "no table": 'No such file or folder: nosuch.csv. Tables there: "few.csv", "rows.csv", "unlabelled.csv".',
    "a misspelt table": 'No such file or folder: rwos.csv. Did you mean "rows.csv"?',
    "a table in no folder": "There is no folder data either.",
}


@pytest.mark.parametrize("name", SAID)
def test_messages_name_all_that_is_wrong(answers: Answers, name: str) -> None:
    assert SAID[name] in " ".join(answers[name][2].split())


DRY = {
    "score": ["score", "kept", "rows.csv", "out.csv", "--keep", "b", "--columns", "prediction,embedding"],
    "impute": ["impute", "kept", "rows.csv", "out.csv"],
    "sample": ["sample", "kept", "10", "out.csv"],
    "similar": ["similar", "kept", "rows.csv", "rows.csv", "out.csv"],
    "duplicates": ["duplicates", "kept", "rows.csv", "out.csv"],
    "outliers": ["outliers", "kept", "rows.csv", "out.csv"],
    "many files": ["score", "kept", "rows.csv", "out", "--runner", "threads"],
}
PLANNED = {"out": "out.csv", "action": "write", "model": "kept", "reads": ["a", "c"]}


@pytest.mark.slow
def test_a_dry_run_says_what_would_be_read_and_written(home: Path) -> None:
    before = {file.name for file in home.iterdir()}
    found = answers_to({name: [*words, "--dry-run", "--json"] for name, words in DRY.items()}, home)
    assert {file.name for file in home.iterdir()} == before
    assert {name: answer[:2] for name, answer in found.items()} == {name: [0, []] for name in DRY}
    plans = {name: json.loads(answer[2].splitlines()[-1]) for name, answer in found.items()}
    for name, plan in plans.items():
        out = "out" if name == "many files" else "out.csv"
        assert {key: plan[key] for key in PLANNED} == {**PLANNED, "out": out}
    rows = {"place": "rows.csv", "files": 1, "rows": None, "unused": ["b", "d"]}
    assert plans["score"]["sources"] == [rows]
    assert (plans["score"]["columns"], plans["score"]["left_out"]) == (["b", "prediction"], ["embedding"])  # of a CSV
    assert plans["many files"]["left_out"] == []
    assert plans["similar"]["sources"] == [rows, rows]
    assert plans["sample"]["sources"] == []
    assert 'not used by the model: "b", "d"' in found["score"][2]
