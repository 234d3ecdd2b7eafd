"""Decisions about versions that wait: what is refused, and what is written down."""

import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from varjepa.errors import ModelError, UserError
from varjepa.tasks.registry.approval import Approval, approval_of, ask, decide, waiting
from varjepa.tasks.registry.champion import champion_of, history, move_champion
from varjepa.tasks.tracking.store import client_for


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{folder}/mlflow.db"
    return SimpleNamespace(uri=uri, client=client_for(uri), folder=folder)


@pytest.fixture
def waits(place: SimpleNamespace, request: pytest.FixtureRequest) -> SimpleNamespace:
    """A model with the champion 1, and version 2, which waits."""
    name = re.sub(r"\W+", "-", request.node.name)
    place.client.create_registered_model(name)
    for _ in range(2):
        place.client.create_model_version(name, str(Path(place.folder) / "model"))
    place.client.set_registered_model_alias(name, "champion", "1")
    approval = waiting(None, 1, timedelta(days=1))
    ask(place.client, name, 2, approval)
    return SimpleNamespace(name=name, approval=approval)


@pytest.mark.slow
def test_a_rejected_version_keeps_who_and_why(place: SimpleNamespace, waits: SimpleNamespace) -> None:
    answer = decide(waits.name, place.uri, approve=False, why="  trained on\nthe wrong month ")
    assert (answer["state"], answer["version"], answer["moved"]) == ("rejected", 2, False)
    approval = approval_of(place.client, waits.name, 2)
    assert (approval.state, approval.why) == ("rejected", "trained on the wrong month")
    assert approval.who
    assert champion_of(place.client, waits.name) == 1
    assert "pending" not in place.client.get_registered_model(waits.name).aliases
    with pytest.raises(ModelError, match=r"was rejected by .* wrong month"):
        decide(f"models:/{waits.name}/2", place.uri, approve=False, why="again")


def _changed(place: SimpleNamespace, waits: SimpleNamespace, **values: object) -> None:
    text = json.dumps(asdict(replace(waits.approval, **values)))
    place.client.set_model_version_tag(waits.name, "2", "varjepa.approval", text)


@pytest.mark.parametrize(("change", "words"), [
    ({"until": "2020-01-01T00:00:00+00:00"}, "has waited longer"),
    ({"against": 7}, "was compared with version 7, but version 1 is the champion now"),
    ({"against": None}, "was compared when there was no champion, but version 1"),
], ids=["late", "moved", "first"])  # fmt: skip
def test_a_version_whose_comparison_no_longer_holds_is_not_approved(
    place: SimpleNamespace, waits: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, change: dict, words: str
) -> None:
    _changed(place, waits, **change)
    monkeypatch.setattr("varjepa.tasks.registry.approval.verify", lambda *_: None)  # its files are another test's
    with pytest.raises(ModelError, match=words):
        decide(waits.name, place.uri, approve=True, why="looks good")
    assert champion_of(place.client, waits.name) == 1
    assert decide(waits.name, place.uri, approve=False, why="too late")["state"] == "rejected"


def test_an_approval_that_died_before_the_alias_moved_is_completed(
    place: SimpleNamespace, waits: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _changed(place, waits, state="approved", who="ada", why="good", time="2026-01-01T00:00:00+00:00")
    monkeypatch.setattr("varjepa.tasks.registry.approval.verify", lambda *_: None)  # its files are another test's
    assert decide(waits.name, place.uri, approve=True, why="again")["before"] == 1
    assert champion_of(place.client, waits.name) == 2


def test_a_decision_needs_a_reason_and_a_version_that_waits(place: SimpleNamespace, waits: SimpleNamespace) -> None:
    with pytest.raises(UserError, match="needs a reason"):
        decide(waits.name, place.uri, approve=False, why=" \n")
    with pytest.raises(ModelError, match="does not wait for approval"):
        decide(f"models:/{waits.name}/1", place.uri, approve=False, why="no")
    with pytest.raises(ModelError):
        decide("nobody", place.uri, approve=False, why="no")


def test_the_same_job_does_not_prolong_the_time() -> None:
    first = waiting(None, 1, timedelta(days=1))
    assert waiting(first, 1, timedelta(days=9)) == first
    assert waiting(first, 2, timedelta(days=9)).until > first.until
    late = replace(first, until=(datetime.now(UTC) - timedelta(seconds=1)).isoformat())
    assert late.expired
    assert not waiting(late, 1, timedelta(days=1)).expired
    assert not Approval("rejected", late.since, late.until, 1).expired


def test_a_rejection_leaves_the_version_that_waits_now_alone(place: SimpleNamespace, waits: SimpleNamespace) -> None:
    """Version 3 has taken the place of version 2, which nobody has decided about."""
    place.client.create_model_version(waits.name, str(Path(place.folder) / "model"))
    ask(place.client, waits.name, 3, waits.approval)
    assert decide(f"models:/{waits.name}/2", place.uri, approve=False, why="older")["version"] == 2
    assert place.client.get_registered_model(waits.name).aliases == {"champion": 1, "pending": 3}
    assert decide(waits.name, place.uri, approve=False, why="no better")["version"] == 3


def test_the_champion_cannot_be_rejected(place: SimpleNamespace, waits: SimpleNamespace) -> None:
    """Somebody has promoted it by hand while it waited."""
    move_champion(place.client, waits.name, 2, by="promote", reason="at once")
    with pytest.raises(ModelError, match=r"Version 2 .* is the champion.*varjepa rollback"):
        decide(f"models:/{waits.name}/2", place.uri, approve=False, why="too late")
    assert approval_of(place.client, waits.name, 2).state == "pending"


def test_an_approval_that_was_rolled_back_is_not_completed(
    place: SimpleNamespace, waits: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("varjepa.tasks.registry.approval.verify", lambda *_: None)  # its files are another test's
    move_champion(place.client, waits.name, 1, by="promote", reason="first")
    assert decide(waits.name, place.uri, approve=True, why="good")["moved"]
    move_champion(place.client, waits.name, 1, by="rollback", reason="not good", steps=1)
    with pytest.raises(ModelError, match=r"was approved by .* good"):
        decide(f"models:/{waits.name}/2", place.uri, approve=True, why="again")
    assert champion_of(place.client, waits.name) == 1


@pytest.mark.parametrize("why", ['the token="abcde" is old', "-----BEGIN PRIVATE KEY----- found", "password={", "x"])
def test_whatever_a_reason_holds_the_decision_can_be_read_again(
    place: SimpleNamespace, waits: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """The redactor must not break what is kept as JSON; the value of a secret may be a word of JSON, too."""
    monkeypatch.setattr("varjepa.tasks.registry.approval.verify", lambda *_: None)  # its files are another test's
    monkeypatch.setenv("ODD_TOKEN", "null")
    move_champion(place.client, waits.name, 1, by="promote", reason=why)
    decide(waits.name, place.uri, approve=True, why=why)
    assert approval_of(place.client, waits.name, 2).state == "approved"
    assert history(place.client, waits.name)[-1].version == 2
    assert "abcde" not in str(place.client.get_registered_model(waits.name).tags)
