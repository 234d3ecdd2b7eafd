"""A registered version behind MLflow's own commands: the same answers as the library, and words for bad requests."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import polars as pl
import pytest

from tests.property.fuzz.requests import hostile_request
from tests.property.fuzz.trials import Hang, report, seeds, within
from tests.store_servers import free_port

CODE = Path(__file__).parents[2]
MODEL = ["-m", "models:/people@champion", "--env-manager", "local"]
ROW = {"age": 41, "income per-year": 1200.5, "job": "nurse", "member": True, "since": "2020-02-02"}
ROWS = [
    ROW,
    ROW | {"age": None, "job": None},  # gaps
    ROW | {"age": "63", "job": "astronaut"},  # a number as text, a category never seen
    dict.fromkeys(ROW),  # nothing at all
    ROW | {"member": "False"},
    ROW | {"job": 7, "note": "more than was asked for"},
]


@pytest.fixture(scope="module")
def offline(handed_over: SimpleNamespace) -> dict[str, str]:
    """An environment from which no other machine can be reached."""
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | nowhere | {
        "no_proxy": "127.0.0.1", "PATH": path, "MLFLOW_TRACKING_URI": handed_over.uri, "PYTHONPATH": str(CODE),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }  # fmt: skip


@pytest.fixture(scope="module")
def ask(offline: dict[str, str], tmp_path_factory) -> Iterator[Callable[..., tuple[int, Any]]]:
    """Serves the champion; asks with a request's body."""
    from varjepa.tasks.processes.child import HOST, Child

    port, log = free_port(), tmp_path_factory.mktemp("serve") / "serve.log"
    command = [sys.executable, "-m", "mlflow", "models", "serve", *MODEL, "--host", HOST, "--port", str(port)]

    def post(body: object) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(f"http://{HOST}:{port}/invocations", data, {"Content-Type": "application/json"})
        try:
            with urlopen(request) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)

    with Child("serving", command, log, environment=dict(offline)) as server:
        server.require_up(f"http://{HOST}:{port}")
        yield post


def in_the_library(handed_over: SimpleNamespace, rows: list[dict[str, Any]]) -> pl.DataFrame:
    from varjepa.inference.storage import load_model

    model = load_model(handed_over.model)
    typed = [row | {"age": row["age"] and int(row["age"]), "job": row["job"] and str(row["job"])} for row in rows]
    typed = [row | {"member": {"False": False}.get(row["member"], row["member"])} for row in typed]
    return model.predict(pl.DataFrame(typed, infer_schema_length=None).select(list(ROW)))


def assert_same(found: list[dict[str, Any]], expected: pl.DataFrame) -> None:
    names = ["embedding", "uncertainty", "latent_uncertainty", "prediction", "probability", "accept"]
    assert [list(row) for row in found] == [names] * expected.height
    for name in names:
        column = [row[name] for row in found]
        if name in ("prediction", "accept"):
            assert column == expected[name].to_list(), name
        else:
            np.testing.assert_allclose(np.array(column), np.array(expected[name].to_list()), atol=1e-5, err_msg=name)


def test_served_answers_are_those_of_the_library(ask, handed_over: SimpleNamespace) -> None:
    expected = in_the_library(handed_over, ROWS)
    status, answer = ask({"dataframe_records": ROWS})
    assert status == 200, answer
    assert_same(answer["predictions"], expected)
    split = {"columns": list(ROW), "data": [[row[name] for name in ROW] for row in ROWS]}
    status, answer = ask({"dataframe_split": split, "params": {"batch_size": 2}})
    assert status == 200, answer
    assert_same(answer["predictions"], expected)
    assert ask({"dataframe_split": split | {"data": []}}) == (200, {"predictions": []})


def test_sets_and_all_probabilities_are_served_on_request(ask, handed_over: SimpleNamespace) -> None:
    from varjepa.inference.storage import load_model

    status, answer = ask({"dataframe_records": ROWS[:2], "params": {"columns": "set,probabilities"}})
    assert status == 200, answer
    frame = pl.DataFrame([row | {"age": row["age"] and int(row["age"])} for row in ROWS[:2]])
    expected = load_model(handed_over.model).predict(frame, also=("set", "probabilities"))
    for found, row in zip(answer["predictions"], expected.to_dicts(), strict=True):
        assert list(found) == ["set", "probability.no", "probability.yes"]
        assert found["set"] == row["set"]
        assert found["probability.yes"] == pytest.approx(row["probability.yes"], abs=1e-5)


def test_a_request_may_name_groups_of_columns(ask, handed_over: SimpleNamespace) -> None:
    from varjepa.inference.storage import load_model

    status, answer = ask({"dataframe_records": [ROW, ROW], "params": {"columns": "vector,prediction,anomaly"}})
    assert status == 200, answer
    row = answer["predictions"][0]
    assert list(row) == ["prediction", "probability", "accept", "vector", "anomaly", "odd_columns"]
    vectors = load_model(handed_over.model).vectors(pl.DataFrame([ROW]))
    np.testing.assert_allclose(row["vector"], vectors[0], atol=1e-5)
    status, answer = ask({"dataframe_records": [ROW], "params": {"columns": "vektor"}})
    assert status == 400
    assert 'Did you mean "vector"?' in answer["message"]


FAULTS = {
    "column missing": ({name: value for name, value in ROW.items() if name != "job"}, "job", "missing"),
    "text for a number": (ROW | {"age": "old"}, "age", "old"),
    "a list for a number": (ROW | {"age": [1, 2]}, "age", "Expected one number or text per cell"),
    "an object for a category": (ROW | {"job": {"is": "clerk"}}, "job", "Expected one number or text per cell"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_requests_are_told_what_is_wrong_with_which_column(ask, fault: str) -> None:
    row, column, words = FAULTS[fault]
    # A fault in some of the rows mixes types; a column is missing where no row has it.
    for rows in ([row], [row, ROW] if column in row else [row, row]):
        status, answer = ask({"dataframe_records": rows})
        assert status == 400, answer
        reason = answer["message"].rpartition("Error: ")[2]
        assert column in reason, answer
        assert words in reason, answer
        assert "stack_trace" not in answer


def test_bad_bodies_are_refused(ask) -> None:
    assert ask(b"{not json")[0] == 400
    status, answer = ask({"rows": [ROW]})
    assert status == 400
    assert "dataframe_records" in answer["message"]
    status, answer = ask({"dataframe_records": [ROW], "params": {"batch_size": 0}})
    assert status == 400
    assert "batch_size is 0. Expected at least 1." in answer["message"]


def test_any_request_is_answered_or_refused(ask, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes, faults = Counter[str](), list[str]()
    for seed in seeds(40, 500):
        asked = hostile_request(random.Random(seed), ROW)
        try:
            with within(60):
                status, answer = ask(asked.body)
        except (Hang, ValueError, OSError) as error:  # no JSON; no answer
            faults.append(f"{seed}: {error!r} to {asked.body[:600]!r}")
            continue
        outcomes[str(status)] += 1
        sound = status == 400 or (status == 200 and asked.rows in (None, len(answer["predictions"])))
        if not sound or "stack_trace" in answer or "Traceback" in str(answer):
            faults.append(f"{seed}: {status} {str(answer)[:600]} to {asked.body[:600]!r}")
        elif status == 200:
            odd = [row for row in answer["predictions"] if not np.isfinite(row.get("probability", 0.5))]
            faults += [f"{seed}: {row} to {asked.body[:600]!r}" for row in odd]
    report(capsys, "requests", outcomes, faults)


def test_files_are_predicted_without_a_server(offline, handed_over: SimpleNamespace, tmp_path: Path) -> None:
    rows = handed_over.table.head(50).drop("rich", "customer_id", "country")
    rows.write_csv(tmp_path / "rows.csv")
    command = [sys.executable, "-m", "mlflow", "models", "predict", *MODEL, "-t", "csv"]
    files = ["-i", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "out.json")]
    done = subprocess.run([*command, *files], env=offline, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads((tmp_path / "out.json").read_text())
    assert_same(answer["predictions"], in_the_library(handed_over, rows.to_dicts()))
