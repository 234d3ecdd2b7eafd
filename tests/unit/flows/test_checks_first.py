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
}

PROGRAM = """
import io, json, sys
from varjepa.flows.cli import cli
from varjepa.flows.failures import guarded
for name, words in json.loads(sys.argv[1]).items():
    sys.stderr = io.StringIO()
    code = guarded(lambda: cli.main(words, standalone_mode=False), words)
    print(json.dumps([name, code, sorted({"torch", "mlflow", "prefect"} & {*sys.modules}), sys.stderr.getvalue()]))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, list[str], str]]:
    folder = tmp_path_factory.mktemp("home")
    (folder / "rows.csv").write_text("a,b,c\n1,2,3\n")
    (folder / "kept").mkdir()
    (folder / "kept" / "config.json").write_text('{"data": {"path": "x.csv", "label": "b"}}')
    features = [CategoricalFeature(name=name, dtype="String", kind="categorical", vocabulary=("1",)) for name in "ac"]
    kept = Preprocessor(numeric=(), categorical=tuple(features), label=None, order=("a", "c"), left_out={})
    (folder / "kept" / "preprocessor.json").write_text(kept.model_dump_json())
    (folder / "job.yaml").write_text("data: {path: rows.csv, label: b}")
    (folder / "few.csv").write_text("b,d\n1,2\n")
    (folder / "unlabelled.csv").write_text("a,c\n1,2\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(WRONG)], capture_output=True, text=True, check=True, cwd=folder
    )
    assert not (folder / "mlruns").exists()
    assert not (folder / "typo.db").exists()
    return {name: (code, heavy, said) for name, code, heavy, said in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_shows_before_heavy_imports(answers: dict[str, tuple[int, list[str], str]], name: str) -> None:
    assert answers[name][:2] == (2, [])


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
def test_messages_name_all_that_is_wrong(answers: dict[str, tuple[int, list[str], str]], name: str) -> None:
    assert SAID[name] in " ".join(answers[name][2].split())
