"""Tables, settings and contracts that a retrain refuses: the right code, what was found and what to do."""

import gzip
import re
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.flows.conftest import Answer, person_table, write_job


@pytest.fixture
def refused(varjepa, tmp_path: Path):
    """Runs a retrain that must be refused: one paragraph, the right code, nothing registered."""

    def run(job: Path, *arguments: str, code: int = 2) -> str:
        answer: Answer = varjepa("retrain", job, *arguments, "--json")
        assert answer.code == code, answer.err
        assert answer.json["exit_code"] == code
        assert "Traceback" not in answer.err
        assert "\n" not in answer.json["error"]
        assert varjepa("models", "--json").json["models"] == []
        return answer.json["error"]

    return run


GOOD = person_table(60).write_csv().encode()
TABLES = {
    "empty.csv": (b"", "is empty"),
    "header.csv": (b"a,b,rich\n", "has no rows"),
    "no_label.csv": (b"a,b\n", 'data.label names "rich", which is not a column'),
    "one_row.csv": (b"a,b,rich\n1,2,yes\n", "The table has 1 row to learn from. Expected at least 10"),
    "all_null.csv": (b"a,b,rich\n" + b",,yes\n" * 30, "No feature is left"),
    "constant.csv": (b"a,rich\n" + b"7,yes\n7,no\n" * 20, "No feature is left"),
    "twice.csv": (b"a,a,rich\n1,2,yes\n", 'duplicate column names: "a"'),
    "text.csv": (
        GOOD + b"61,old,1.5,clerk,true,2020-01-01,de,yes\n",
        "holds text in 1 of",
    ),
    "long.csv": (b"a,rich\n" + b"1,yes\n" * 20 + b"1,000,no\n", "1 row with more fields"),
    "binary.csv": (bytes(range(256)) * 20, "is a binary file"),
    "flipped.csv.gz": (gzip.compress(GOOD)[:50] + b"\0\0" + gzip.compress(GOOD)[52:], "truncated or damaged"),
    "cut.csv.gz": (gzip.compress(GOOD)[:600], "truncated or damaged"),
    "one_class.csv": (b"a,rich\n" + b"".join(b"%d,yes\n" % (i % 7) for i in range(40)), 'The label "rich" has 1'),
}


@pytest.mark.parametrize("name", TABLES)
def test_bad_tables_are_refused(refused, tmp_path: Path, name: str) -> None:
    job = write_job(tmp_path, person_table(60), data={"label": "rich"})
    content, message = TABLES[name]
    (tmp_path / name).write_bytes(content)
    assert message in refused(job, "--set", f"data.path={tmp_path / name}")


def test_bad_settings_are_refused(refused, tmp_path: Path) -> None:
    job = write_job(tmp_path, person_table(60), data={"label": "rich"})
    assert "No such file or folder" in refused(job, "--set", "data.path=nowhere.csv")
    assert 'Did you mean "rich"' in refused(job, "--set", "data.label=richh")
    assert 'Did you mean "training"' in refused(job, "--set", "trainin.lr=1")
    assert "cannot be used here" in refused(job, "--set", "training.device=warp")
    assert "No such data contract" in refused(job, "--set", "contract.path=nowhere.yaml")
    assert "No such configuration file" in refused(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ("columns: {age: {kind: numeric, max: 30}}", "rows"),
        ("columns: {agee: {kind: numeric}}", 'Did you mean "age"'),
        ("{extra_columns: forbid, columns: {age: {kind: numeric}}}", "columns that are not in the contract"),
        ("{min_rows: 1000}", "1,?000"),
        ("columns: {job: {kind: categorical, max_missing: 0.01}}", "job"),
    ],
)
def test_a_broken_contract_ends_with_3_and_shows_why(
    refused, varjepa, tmp_path: Path, contract: str, message: str
) -> None:
    (tmp_path / "contract.yaml").write_text(contract)
    job = write_job(tmp_path, person_table(100), data={"label": "rich"}, contract={"path": "contract.yaml"})
    error = refused(job, code=3)
    assert re.search(message, error), error
    client = MlflowClient(f"sqlite:///{tmp_path}/home/mlruns/mlflow.db")
    (run,) = client.search_runs(["1"])
    assert run.info.status == "FAILED"
    assert run.data.tags["varjepa.failure"] == error
    assert {file.path for file in client.list_artifacts(run.info.run_id, "validation")} >= {"validation/docs"}
    assert not client.search_logged_models(["1"])
