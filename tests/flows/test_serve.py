"""The service on a real port: the same answers as `score`, limits, tokens, and aliases that move under load."""

import io
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import polars as pl
import pytest

from tests.flows.conftest import caller, person_table
from tests.forked import Forks, Start
from tests.store_servers import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.slow


@contextmanager
def served(place: SimpleNamespace, *words: str, **environment: str) -> Iterator[httpx.Client]:
    """A process of `varjepa serve`, and a client of it."""
    port = free_port()
    command = ["serve", *words, "--port", str(port), "--tracking-uri", place.uri]
    process = place.forks.start(Start(command, str(place.home), environment))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            eventually(lambda: process.poll() is None and _answers(client), "an answer")
            yield client
    finally:
        process.send(signal.SIGTERM)
        said = process.said(timeout=60)
    assert "Traceback" not in said.err, said.err
    assert said.err.index("loading libraries") < said.err.index(" answers at ")


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def _answered_and_shadowed(client: httpx.Client, number: int, path: str, request: dict[str, Any]) -> httpx.Response:
    """The answer to the request of this number, of 40 rows each, once the shadow has scored them, too."""
    answer = client.post(path, **request)
    counted = r'varjepa_shadow_rows_total\{outcome="\w+"\} (\d+)'
    eventually(
        lambda: sum(map(int, re.findall(counted, client.get("/metrics").text))) == 40 * number, "the shadow's rows"
    )
    return answer


@pytest.fixture(scope="module")
def place(handed_over: SimpleNamespace, forks: Forks) -> SimpleNamespace:
    """A second name with two versions of the same model, and rows with what `score` says of them."""
    from mlflow import MlflowClient

    client = MlflowClient(handed_over.uri)
    for _ in range(2):
        client.copy_model_version("models:/people/1", "served")
    client.set_registered_model_alias("served", "champion", "1")
    client.set_registered_model_alias("served", "challenger", "2")
    rows = person_table(40, seed=9)
    return SimpleNamespace(uri=handed_over.uri, client=client, home=handed_over.home, rows=rows, forks=forks)


def test_answers_in_every_form_are_those_of_score(
    place: SimpleNamespace, migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.rows.write_csv(tmp_path / "new.csv")
    scored = caller(place.home, migrated, monkeypatch)(
        "score", "models:/served/1", tmp_path / "new.csv", tmp_path / "out.parquet",
        "--columns", "prediction,uncertainty", "--tracking-uri", place.uri,
    )  # fmt: skip
    assert scored.code == 0, scored.err
    expected = pl.read_parquet(tmp_path / "out.parquet").drop("row")
    buffer = io.BytesIO()
    place.rows.write_ipc_stream(buffer)
    rows = [
        {k: v if v is None or not hasattr(v, "isoformat") else v.isoformat() for k, v in row.items()}
        for row in place.rows.to_dicts()
    ]
    log = tmp_path / "log"
    with served(
        place, "models:/served@champion", "--shadow", "challenger", "--log", str(log), "--keep", "customer_id"
    ) as client:
        eventually(lambda: client.get("/health").json()["shadow"], "a shadow")
        arrow = "application/vnd.apache.arrow.stream"
        as_json, table, as_csv, as_arrow, more = (
            _answered_and_shadowed(client, number, *request)
            for number, request in enumerate([
                ("/predict", {"json": {"rows": rows}}),
                ("/predict", {"json": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}}),
                ("/predict", {"content": place.rows.write_csv(), "headers": {"Content-Type": "text/csv"}}),
                ("/predict", {"content": buffer.getvalue(), "headers": {"Content-Type": arrow}}),
                ("/predict?columns=set,anomaly", {"json": {"rows": rows}, "headers": {"Accept": "text/csv"}}),
            ], 1)
        )  # fmt: skip
        metrics = client.get("/metrics").text
        assert 'varjepa_shadow_rows_total{outcome="agrees"} 160.0' in metrics
        assert client.get("/openapi.json").json()["paths"].keys() == {"/predict", "/health", "/metrics"}
    for response in (as_json, table, as_csv, as_arrow, more):
        assert (response.status_code, response.headers["X-Model-Version"]) == (200, "models:/served/1"), response.text
    assert as_json.json()["version"] == "models:/served/1"
    frames = [
        pl.DataFrame(as_json.json()["rows"]),
        pl.DataFrame(table.json()["rows"]),
        pl.read_csv(as_csv.content),
        pl.read_ipc_stream(as_arrow.content),
    ]
    for frame in frames:
        assert frame.columns == expected.columns
        assert frame["prediction"].to_list() == expected["prediction"].to_list()
        assert frame["accept"].to_list() == expected["accept"].to_list()
        assert (frame["uncertainty"] - expected["uncertainty"]).abs().max() < 1e-5
    assert {"set", "anomaly", "odd_columns"} == set(pl.read_csv(more.content).columns)
    assert 'varjepa_requests_total{status="200"} 5.0' in metrics
    assert 'varjepa_version{version="models:/served/1"} 1.0' in metrics
    logged = pl.read_parquet(log / "*.parquet")
    assert logged.group_by("version", "role").len().sort("role").rows() == [
        ("models:/served/1", "answer", 200),
        ("models:/served/2", "shadow", 200),
    ]
    assert set(place.rows.columns) & set(logged.columns) == {"customer_id"}


def test_wrong_requests_are_refused_in_words(place: SimpleNamespace) -> None:
    good = {"age": 40, "income per-year": 1.5, "job": "clerk", "member": True, "since": "2020-01-01"}
    with served(
        place, "models:/served/1", "--max-rows", "3", "--max-mib", "1", VARJEPA_SERVE_TOKEN="s3cret-word"
    ) as client:
        assert client.get("/health").status_code == 200
        assert client.post("/predict", json={"rows": [good]}).status_code == 401
        assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
        client.headers["Authorization"] = "Bearer s3cret-word"
        assert client.post("/predict", json={"rows": [good]}).status_code == 200
        assert client.post("/predict", json={"rows": []}).json()["rows"] == []
        assert client.post("/predict", json={"rows": [good | {"orders": [{"id": 7}]}]}).status_code == 200

        def refused(code: int, words: str, **request: Any) -> None:
            answer = client.post(request.pop("path", "/predict"), **request)
            assert (answer.status_code, words in answer.json()["detail"]) == (code, True), answer.text

        refused(400, "not valid JSON", content=b"{")
        refused(400, "holds no rows", json=[1])
        refused(400, "is not an object", json={"rows": [1]})
        refused(400, "Not every row has 2 cells", json={"columns": ["a", "b"], "data": [[1]]})
        refused(400, "job", json={"rows": [{k: v for k, v in good.items() if k != "job"}]})
        refused(400, 'The column "age" holds [1]', json={"rows": [good | {"age": [1]}]})
        refused(400, "age", json={"rows": [good | {"age": "old"}]})
        refused(400, "is empty", content=b"", headers={"Content-Type": "text/csv"})
        refused(400, "not valid arrow", content=b"abc", headers={"Content-Type": "application/vnd.apache.arrow.stream"})
        refused(400, "nonsense", json={"rows": [good]}, path="/predict?columns=nonsense")
        refused(406, "Answers are", json={"rows": [good]}, headers={"Accept": "image/png"})
        refused(413, "3 rows", json={"rows": [good] * 4})
        refused(413, "bytes", content=b"x" * (2**20 + 1))
        refused(415, "image/png", content=b"x", headers={"Content-Type": "image/png"})
        assert client.get("/predict").status_code == 405
        assert client.post("/predict", json={"rows": [good]}).status_code == 200


def test_an_alias_moves_under_load_and_no_request_is_lost_or_mixed(place: SimpleNamespace) -> None:
    rows = place.rows.drop("since").with_columns(since=pl.lit("2020-01-01")).to_dicts()
    answers: list[tuple[int, str, str]] = []
    with served(place, "models:/served@champion", "--every", "0.3") as client:
        end = threading.Event()

        def ask(number: int) -> None:
            with httpx.Client(base_url=client.base_url, timeout=60) as mine:
                while not end.is_set():
                    answer = mine.post("/predict", json={"rows": rows[number : number + 3]})
                    answers.append((answer.status_code, answer.headers["X-Model-Version"], answer.json()["version"]))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            for version in ("2", "1"):
                place.client.set_registered_model_alias("served", "champion", version)
                eventually(lambda version=version: client.get("/health").json()["version"][-1] == version, version)
                time.sleep(0.5)
        finally:
            end.set()
            for thread in threads:
                thread.join()
            place.client.set_registered_model_alias("served", "champion", "1")
    assert {status for status, _, _ in answers} == {200}
    assert all(header == body for _, header, body in answers)
    assert {header for _, header, _ in answers} == {"models:/served/1", "models:/served/2"}


def test_a_version_that_answered_before_is_not_loaded_again(place: SimpleNamespace) -> None:
    from varjepa.tasks.serving.settings import ServeSettings
    from varjepa.tasks.serving.versions import Versions

    versions = Versions(ServeSettings("models:/served@champion", tracking_uri=place.uri, device="cpu"))
    first = versions.current
    try:
        place.client.set_registered_model_alias("served", "champion", "2")
        versions.refresh()
        second = versions.current
    finally:
        place.client.set_registered_model_alias("served", "champion", "1")
    versions.refresh()
    assert (first.name, second.name) == ("models:/served/1", "models:/served/2")
    assert versions.current is first
    assert versions.last is second
