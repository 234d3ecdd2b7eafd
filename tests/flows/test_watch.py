"""A watch compares new rows with the champion once, tells people, and notices that a schedule is silent."""

from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
import yaml

from tests.flows.conftest import caller, person_table
from tests.unit.tasks.notify.receivers import web_hook


@pytest.mark.slow
def test_rows_are_compared_once_and_silence_is_told_once(
    handed_over: SimpleNamespace, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    varjepa = caller(handed_over.home, migrated, monkeypatch)
    content = yaml.safe_load(handed_over.job.read_text())
    content["watch"] = {"path": "arrived.csv", "silent_after": "1s"}
    content["notify"] = [{"events": ["drift", "silent", "skipped"], "urls": "HOOK"}]
    job = handed_over.home / "watched.yaml"
    job.write_text(yaml.safe_dump(content))
    arrived, same = handed_over.home / "arrived.csv", person_table(300, seed=5)
    with web_hook() as (hook, bodies):
        monkeypatch.setenv("HOOK", hook)
        same.with_columns(pl.col("income per-year") * 9, age=80).write_csv(arrived)
        first = varjepa("watch", job, "--once", "--json")
        assert first.code == 0, first.err
        assert first.json["alarm"]
        assert "the last retrain began" in first.json["silence"]
        page = Path(MlflowClient(handed_over.uri).download_artifacts(handed_over.answer.json["run_id"], "life.html"))
        assert "1 comparisons with new rows, 1 alarms" in page.read_text()
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


@pytest.mark.parametrize(("words", "message"), [
    (["--once", "--cron", "0 3 * * *"], "--once runs now"),
    (["--cron", "99 3 * * *"], "is not a valid schedule"),
    ([], "needs --cron or --interval"),
])  # fmt: skip
def test_impossible_watches_are_refused(
    handed_over: SimpleNamespace, migrated: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    answer = caller(handed_over.home, migrated, monkeypatch)("watch", handed_over.job, *words)
    assert (answer.code, message in answer.err) == (2, True), answer.err
