"""Events of OpenLineage reach a real receiver, hold no secrets, and stop nothing."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.store_servers import free_port
from tests.unit.tasks.lineage.receiver import no_settings, receiver, require_valid  # noqa: F401 (a fixture)
from varjepa.errors import DataError
from varjepa.tasks.lineage import send
from varjepa.tasks.lineage.record import known_as, reads, writes
from varjepa.tasks.lineage.run import configured, lineage
from varjepa.tasks.lineage.tables import Name, Table, model, name_of


def failing_retrain() -> None:
    with lineage("retrain", "people"):
        known_as(**{"mlflow.run_id": "abc"})
        name = name_of("postgresql://me:sesame@db/shop#public.orders")
        reads(Table(name, {"id": "Int64", "job": "String"}, rows=12, version="f00d"))
        raise DataError("postgresql://me:sesame@db/shop cannot be read.")


def test_a_run_and_the_one_within_it_send_what_they_read_and_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = "d0a1b2c3-0000-4000-8000-000000000001"
    with receiver() as (url, events):
        monkeypatch.setenv("OPENLINEAGE_URL", url)
        monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "shop")
        monkeypatch.setenv("OPENLINEAGE_PARENT_ID", f"cron/nightly/{parent}")
        with lineage("watch", "people\u200b"):  # a name is shown alike wherever it stands
            with pytest.raises(DataError):
                failing_retrain()
            writes(model("people", 3, "postgresql://me:sesame@db/mlflow"))
    for event in events:
        require_valid(event)
    assert [(event["job"]["name"], event["eventType"]) for event in events] == [
        ("watch.people\\u200b", "START"), ("retrain.people", "START"),
        ("retrain.people", "FAIL"), ("watch.people\\u200b", "COMPLETE"),
    ]  # fmt: skip
    outer, inner, failed, complete = events
    assert "sesame" not in json.dumps(events)
    assert outer["job"]["namespace"] == "shop"
    assert outer["run"]["facets"]["parent"]["run"]["runId"] == parent
    assert outer["run"]["facets"]["parent"]["job"].items() >= {"namespace": "cron", "name": "nightly"}.items()
    assert inner["run"]["facets"]["parent"]["job"]["name"] == outer["job"]["name"]
    assert inner["run"]["facets"]["parent"]["run"]["runId"] == outer["run"]["runId"] == complete["run"]["runId"]
    assert "cannot be read" in failed["run"]["facets"]["errorMessage"]["message"]
    tags = {tag["key"]: tag["value"] for tag in failed["run"]["facets"]["tags"]["tags"]}
    assert tags["mlflow.run_id"] == "abc"
    (table,) = failed["inputs"]
    assert (table["namespace"], table["name"]) == ("postgres://db:5432", "shop.public.orders")
    assert table["inputFacets"]["inputStatistics"]["rowCount"] == 12
    assert table["facets"]["version"]["datasetVersion"] == "f00d"
    assert [(field["name"], field["type"]) for field in table["facets"]["schema"]["fields"]] == [
        ("id", "Int64"), ("job", "String"),
    ]  # fmt: skip
    (made,) = complete["outputs"]
    assert (made["name"], made["facets"]["version"]["datasetVersion"]) == ("models:/people", "3")


def test_a_receiver_that_is_down_stops_nothing_and_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(send, "PATIENCE", 0.5)
    monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()
    with caplog.at_level("WARNING"):
        for _ in range(2):
            with lineage("retrain", "people"):
                pass
    assert time.monotonic() - began < 5
    assert [record.name for record in caplog.records] == ["varjepa"]
    assert "this is said once" in caplog.text


def test_an_interrupted_run_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as (url, events):
        monkeypatch.setenv("OPENLINEAGE_URL", url)
        with pytest.raises(KeyboardInterrupt), lineage("tune", "people"):
            raise KeyboardInterrupt
    assert [event["eventType"] for event in events] == ["START", "ABORT"]
    assert "interrupted by Ctrl-C" in events[1]["run"]["facets"]["errorMessage"]["message"]


def test_wrong_settings_stop_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", "no address")
    with caplog.at_level("WARNING"), lineage("retrain", "people"):
        reads(Table(Name("file", "/people.csv")))
    assert len([record for record in caplog.records if record.name == "varjepa"]) == 1


def test_nothing_is_imported_where_nothing_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert not configured()
    code = (
        "import sys\nfrom varjepa.tasks.lineage.run import lineage\n"
        "with lineage('retrain', 'people'):\n    pass\nassert 'openlineage' not in sys.modules, 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    (tmp_path / "openlineage.yml").write_text("transport: {type: noop}\n")
    assert configured()
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    assert not configured()


@pytest.mark.parametrize(("address", "namespace", "name"), [
    ("/data/people.csv", "file", "/data/people.csv"),
    ("file:///data/people.csv", "file", "/data/people.csv"),
    ("delta:///lake/people", "file", "/lake/people"),
    ("delta://s3://lake/people", "s3://lake", "people"),
    ("gs://lake/2026/*.parquet", "gs://lake", "2026/*.parquet"),
    ("https://token@host:8443/p.csv?sig=abc", "https://host:8443", "/p.csv"),
    ("mysql://me:se/s@me@db:3307/shop#orders", "mysql://db:3307", "shop.orders"),
    ("sqlite:///shop.db#orders", "sqlite", "/shop.db.orders"),
])  # fmt: skip
def test_tables_have_the_names_of_the_specification(address: str, namespace: str, name: str) -> None:
    assert name_of(address) == (namespace, name)
