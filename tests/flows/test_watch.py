"""A watch compares new rows with the champion once, tells people, and notices that a schedule is silent."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import yaml

from tests.flows.conftest import caller, person_table
from tests.unit.tasks.lineage.receiver import no_settings, receiver, require_valid  # noqa: F401 (a fixture)
from tests.unit.tasks.notify.receivers import web_hook


def watched(
    handed_over: SimpleNamespace, watch: dict[str, Any], *, notify: Sequence[dict[str, Any]] = (), path: str = ""
) -> Path:
    """The file of the job that made the model, with a watch, with messages, and with another table if one is named."""
    content = yaml.safe_load(handed_over.job.read_text()) | {"watch": watch, "notify": list(notify)}
    content["data"] |= {"path": path} if path else {}
    job = handed_over.home / "watched.yaml"
    job.write_text(yaml.safe_dump(content))
    return job


@pytest.mark.slow
def test_rows_are_compared_once_and_silence_is_told_once(
    handed_over: SimpleNamespace, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    varjepa = caller(handed_over.home, migrated, monkeypatch)
    notify = [{"events": ["drift", "silent", "skipped"], "urls": "HOOK"}]
    job = watched(handed_over, {"path": "arrived.csv", "silent_after": "1s"}, notify=notify)
    arrived, same = handed_over.home / "arrived.csv", person_table(300, seed=5)
    with web_hook() as (hook, bodies), receiver() as (lineage_url, events):
        monkeypatch.setenv("HOOK", hook)
        monkeypatch.setenv("OPENLINEAGE_URL", lineage_url)
        same.with_columns(pl.col("income per-year") * 9, age=80).write_csv(arrived)
        first = varjepa("watch", job, "--once", "--json")
        assert first.code == 0, first.err
        assert first.json["alarm"]
        assert "the last retrain began" in first.json["silence"]
        page = Path(MlflowClient(handed_over.uri).download_artifacts(handed_over.answer.json["run_id"], "life.html"))
        assert "1 comparison with new rows, 1 alarm" in page.read_text()
        again = varjepa("watch", job, "--once", "--json")
        assert again.json["skipped"]
        assert "compared with version 1 before" in again.json["reason"]
        same.write_csv(arrived)
        calm = varjepa("watch", job, "--once", "--json")
        assert calm.code == 0, calm.err
        assert not calm.json["drifted"]
    assert [body["title"] for body in bodies] == [
        "varjepa: people: the schedule is silent", "varjepa: people: new rows have drifted",
    ]  # fmt: skip
    assert "The largest change affects" in bodies[1]["message"]
    assert f"Run: {first.json['run_id']}" in bodies[1]["message"]
    for event in events:
        require_valid(event)
    jobs = [(event["eventType"], event["job"]["name"]) for event in events]
    assert jobs[:4] == [("START", "watch.people"), ("START", "drift.people"), ("COMPLETE", "drift.people"),
                    ("COMPLETE", "watch.people")]  # fmt: skip
    assert events[2]["run"]["facets"]["parent"]["run"]["runId"] == events[0]["run"]["runId"]
    assert {Path(table["name"]).name for table in events[2]["inputs"]} == {"arrived.csv", "people"}


@pytest.mark.slow
def test_a_retrain_that_failed_is_tried_again(
    handed_over: SimpleNamespace, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    varjepa = caller(handed_over.home, migrated, monkeypatch)
    job = watched(handed_over, {"path": "arrived.csv", "retrain": True}, path="not/there.csv")
    person_table(300, seed=5).with_columns(age=80).write_csv(handed_over.home / "arrived.csv")
    for _ in range(2):  # the second watch said that these rows had been compared before
        answer = varjepa("watch", job, "--once", "--json")
        assert answer.code == 2, answer.err
        assert "not/there.csv" in answer.err


@pytest.mark.slow
def test_past_days_are_compared_once_each_and_a_missing_one_stops_no_other(
    handed_over: SimpleNamespace, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    varjepa = caller(handed_over.home, migrated, monkeypatch)
    watch = {"path": "days/{{ run_date }}.csv", "retrain": True}
    job, days = watched(handed_over, watch, notify=[{"urls": "HOOK"}]), handed_over.home / "days"
    days.mkdir()
    rows = person_table(300, seed=6)
    rows.write_csv(days / "2026-06-01.csv")
    rows.write_csv(days / "2026-06-02.csv")  # the same rows on two days are two points
    rows.with_columns(age=80).write_csv(days / "2026-06-04.csv")
    words = ("watch", job, "--from", "2026-06-01", "--to", "2026-06-04", "--json")
    with web_hook() as (hook, bodies):
        monkeypatch.setenv("HOOK", hook)
        first = varjepa(*words)
        assert first.code == 2, first.err
        states = ["compared", "compared", "failed", "compared"]
        assert [day["state"] for day in first.json["days"]] == states
        assert "2026-06-03" in first.json["days"][2]["reason"]
        assert [day["alarm"] for day in first.json["days"]] == [False, False, False, True]
        rows.write_csv(days / "2026-06-03.csv")
        rows.head(250).write_csv(days / "2026-06-02.csv")  # has changed since
        again = varjepa(*words)
    assert again.code == 0, again.err
    assert [day["state"] for day in again.json["days"]] == ["skipped", "compared", "compared", "skipped"]
    assert bodies == []
    client = MlflowClient(handed_over.uri)
    page = Path(client.download_artifacts(handed_over.answer.json["run_id"], "life.html")).read_text()
    assert "2026-06-04</td>" in page
    tags = client.get_run(first.json["days"][3]["run_id"]).data.tags
    assert (tags["varjepa.day"], tags["varjepa.new"]) == ("2026-06-04", str(days / "2026-06-04.csv"))


@pytest.mark.parametrize(("words", "message"), [
    (["--from", "2026-06-01"], "belong together"),
    (["--from", "2026-06-01", "--to", "2026-05-01"], "is after --to"),
    (["--from", "2026-06-01", "--to", "2999-01-01"], "is still to come"),
    (["--from", "1999-01-01", "--to", "2026-05-01"], "Expected 1,000 at most"),
    (["--from", "0001-01-01", "--to", "0001-01-02"], "Expected a day from 1900 on"),
    (["--from", "yesterday", "--to", "2026-05-01"], "does not match the format"),
    (["--from", "2026-06-01", "--to", "2026-06-02", "--once"], "leave out --once"),
    (["--from", "2026-06-01", "--to", "2026-06-02"], "are the same on every day"),
    (["--once", "--cron", "0 3 * * *"], "--once runs now"),
    (["--once", "--timezone", "Mars"], '"Mars" is not a time zone'),
    (["--cron", "99 3 * * *"], "has 99 as its minute"),
    ([], "needs --cron or --interval"),
])  # fmt: skip
def test_impossible_watches_are_refused(
    handed_over: SimpleNamespace, migrated: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    answer = caller(handed_over.home, migrated, monkeypatch)("watch", handed_over.job, *words)
    assert (answer.code, message in answer.err) == (2, True), answer.err
