"""People are told of a decision once, and not of one that was made before anybody was to be told."""

from pathlib import Path

import pytest

from tests.unit.tasks.notify.receivers import web_hook
from varjepa.config import parse_config
from varjepa.tasks.notify.events import tell_decision
from varjepa.tasks.registry.tags import NOT_YET, TOLD_TAG
from varjepa.tasks.release.gate import Decision
from varjepa.tasks.release.register import Registered
from varjepa.tasks.tracking.store import client_for


@pytest.mark.slow
def test_a_champion_of_old_is_no_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = client_for(uri)
    client.create_registered_model("people")
    client.create_model_version("people", str(tmp_path))
    run = client.create_run(client.create_experiment("jobs", str(tmp_path / "runs"))).info.run_id
    rules = [{"events": ["promoted"], "urls": "HOOK"}]
    config = parse_config({"data": {"name": "sim"}, "tracking": {"uri": uri}, "notify": rules})
    registered = Registered("people", 1, "models:/people/1")
    # What the gate says where the same model is the champion already.
    already = Decision(promoted=False, reason="version 1 is already the champion", aliases=["champion"], metrics={})
    with web_hook() as (hook, bodies):
        monkeypatch.setenv("HOOK", hook)
        tell_decision(config, run, registered, already)  # `notify` is new: "a new champion" was sent
        assert bodies == []
        client.set_model_version_tag("people", "1", TOLD_TAG, NOT_YET)  # its decision was to be told: the process died
        for _ in range(2):
            tell_decision(config, run, registered, already)
    assert [body["title"] for body in bodies] == ["varjepa: people 1: a new champion"]
