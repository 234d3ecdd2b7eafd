"""A version waits for a person, and people are told once what has happened."""

from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import CONTRACT, person_table, write_job
from tests.unit.tasks.lineage.receiver import no_settings, receiver, require_valid  # noqa: F401 (a fixture)
from tests.unit.tasks.notify.receivers import web_hook


@pytest.mark.slow
def test_a_version_waits_for_a_person_and_people_are_told_once(
    varjepa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    job = write_job(
        tmp_path, person_table(), data={"label": "rich"}, gate={"approve": "person"}, probe={"head": "linear"},
        generator={"n_layers": 0}, contract={"path": "contract.yaml"},
    )  # fmt: skip
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    job.write_text(
        job.read_text() + "notify:\n- events: [failed, contract, promoted, refused, pending]\n  urls: HOOK\n"
    )
    client = MlflowClient(f"sqlite:///{tmp_path}/home/mlruns/mlflow.db")
    with web_hook() as (hook, bodies), receiver() as (lineage_url, events):
        monkeypatch.setenv("HOOK", hook)
        monkeypatch.setenv("OPENLINEAGE_URL", lineage_url)
        first = varjepa("retrain", job, "--json")
        assert first.code == 0, first.err
        assert (first.json["promoted"], first.json["model"]["aliases"]) == (False, ["challenger", "pending"])
        assert "it waits for approval until" in first.json["reason"]
        assert varjepa("retrain", job, "--json").json["model"]["aliases"] == ["challenger", "pending"]  # told already

        approved = varjepa("approve", "people", "--why", "checked by two", "--json")
        assert approved.code == 0, approved.err
        assert (approved.json["state"], approved.json["before"]) == ("approved", None)
        (event,) = varjepa("models", "people", "--json").json["history"]
        assert (event["by"], event["reason"].split(";")[0]) == ("approve", "approved: checked by two")
        assert "pending" not in client.get_registered_model("people").aliases
        page = Path(client.download_artifacts(first.json["run_id"], "life.html")).read_text()
        assert "version 1 is the champion" in page
        assert "approved: checked by two" in page
        again = varjepa("approve", "models:/people/1", "--why", "once more", "--json")
        assert again.code == 2
        assert "was approved by" in again.json["error"]

        bad = person_table().with_columns(age=200)
        bad.write_csv(tmp_path / "bad.csv")
        assert varjepa("retrain", job, "--set", f"data.path={tmp_path / 'bad.csv'}").code == 3
        (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 20)
        assert varjepa("retrain", job, "--set", f"data.path={tmp_path / 'binary.csv'}").code == 2
    require_lineage(events, first.json)
    page = Path(client.download_artifacts(first.json["run_id"], "life.html")).read_text()
    assert page.count("<td>FAILED</td>") == 1  # the contract; the other one was refused before it began
    titles = [body["title"] for body in bodies]
    assert titles == [
        "varjepa: people 1: a version waits for approval", "varjepa: people 1: a new champion",
        "varjepa: people: the data broke its contract", "varjepa: people: the run failed",
    ]  # fmt: skip
    pending, champion, contract, failed = (body["message"] for body in bodies)
    assert 'varjepa approve models:/people/1 --why "..."' in pending
    assert f"Run: {first.json['run_id']}" in pending
    assert "checked by two" in champion
    assert "Run: " in contract
    assert "is a binary file" in failed


def require_lineage(events: list[dict[str, Any]], first: dict[str, Any]) -> None:
    """Checks the events of OpenLineage: two retrains, one of data that broke its contract."""
    for event in events:
        require_valid(event)
    assert [event["eventType"] for event in events] == ["START", "COMPLETE", "START", "COMPLETE", "START", "FAIL"]
    assert {event["job"]["name"] for event in events} == {"retrain.people"}
    assert len({event["run"]["runId"] for event in events}) == 3
    (table,), (model,) = events[1]["inputs"], events[1]["outputs"]
    assert table["name"].endswith("/people.csv")
    assert table["inputFacets"]["inputStatistics"]["rowCount"] == 400
    assert table["facets"]["version"]["datasetVersion"] == first["data"]["fingerprint"]
    assert "income per-year" in [field["name"] for field in table["facets"]["schema"]["fields"]]
    assert (model["name"], model["facets"]["version"]["datasetVersion"]) == ("models:/people", "1")
    tags = {tag["key"]: tag["value"] for tag in events[1]["run"]["facets"]["tags"]["tags"]}
    assert tags["mlflow.run_id"] == first["run_id"]
    assert (events[5]["outputs"], len(events[5]["inputs"])) == ([], 1)
    assert "contract" in events[5]["run"]["facets"]["errorMessage"]["message"]
