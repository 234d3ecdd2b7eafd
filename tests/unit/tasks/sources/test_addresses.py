"""Addresses: what they may hold, what of it is shown, and what the environment and the calendar put into them."""

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from varjepa.config import DataSection, load_config, parse_config
from varjepa.errors import ConfigError, SetupError
from varjepa.redaction import redacted, secrets_of
from varjepa.tasks.sources.address import described, expanded, require_place
from varjepa.tasks.sources.open_table import find_table
from varjepa.tasks.sources.run_day import dated, planned_day, with_run_date


@pytest.mark.parametrize("path", [
    "postgresql://me:sesame@host/db#t", "mysql://me:ses/ame@host/db#t", "https://host/people.csv?sig=sesame",
    "https://host/people.csv?X-Amz-Signature=sesame&x=1", "s3://key:sesame@bucket/people.csv",
    "postgresql://host/db?password=sesame#t", "mssql+pymssql://me:sesame@host/db#t", "delta://s3://key:sesame@bucket/t",
])  # fmt: skip
def test_a_password_is_refused_in_a_config_and_in_commands(path: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(yaml.safe_dump({"data": {"path": path}}))
    for refused in (lambda: load_config(tmp_path / "job.yaml"), lambda: require_place(path, {})):
        with pytest.raises(ConfigError, match=r"holds a password or a signature.*\$\{NAME\}") as raised:
            refused()
        assert "ame@" not in str(raised.value)


def test_a_password_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "se/s@m e")
    path = require_place("postgresql://me:${PASSWORD}@host/db#t", {}).path
    address = expanded(path)
    assert address == "postgresql://me:se%2Fs%40m%20e@host/db#t"
    assert described(address) == "postgresql://me:***@host/db#t"
    assert set(secrets_of(address)) == {"se%2Fs%40m%20e", "se/s@m e"}
    assert redacted("no se/s@m e, nor se%2Fs%40m%20e") == "no ***, nor ***"


@pytest.mark.parametrize(("path", "beside"), [
    ("people.csv", "jobs/people.csv"), ("/data/people.csv", "/data/people.csv"), ("s3://b/people.csv", None),
    ("sqlite:///shop.db#t", "sqlite:///jobs/shop.db#t"), ("sqlite:////shop.db#t", "sqlite:////shop.db#t"),
    ("delta://lake/t", "delta://jobs/lake/t"), ("delta://s3://b/t", None), ("iceberg://shop/sales.t", None),
    ("${DATA}/people.csv", None), ("postgresql://host/db#t", None), ("duckdb:///a.db#t", "duckdb:///jobs/a.db#t"),
])  # fmt: skip
def test_local_places_are_relative_to_the_config(
    path: str, beside: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("jobs").mkdir()
    Path("jobs/job.yaml").write_text(yaml.safe_dump({"data": {"path": path}}))
    assert load_config("jobs/job.yaml").data.path == (beside or path)


@pytest.mark.parametrize(("settings", "words"), [
    ({"path": "postgresql://host/db"}, "needs either data.query or a table"),
    ({"path": "postgresql://host/db#t", "query": "SELECT 1"}, "needs either data.query or a table"),
    ({"path": "people.csv", "query": "SELECT 1"}, "data.query needs the URI of a database"),
    ({"path": "postgresql://host/db#t", "parameters": {"a": 1}}, "values for data.query, which is missing"),
    ({"path": "postgresql://host/db", "query": "SELECT {{ run_date }}"}, "the template in data.parameters"),
    ({"path": "psotgresql://host/db#t"}, 'Did you mean "postgresql"'),
])  # fmt: skip
def test_places_that_say_too_little_or_too_much(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_config({"data": settings})


@pytest.mark.parametrize(("place", "settings", "words"), [
    ("people.csv", {"at": 3}, "people.csv has no versions"),
    ("people.csv", {"query": "SELECT 1"}, "people.csv is not a database"),
    ("hdfs://host/people.csv", {}, "not a known kind of place"),
])  # fmt: skip
def test_a_variable_may_hold_a_place_that_does_not_fit(
    place: str, settings: dict[str, object], words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLACE", place)
    with pytest.raises(ConfigError, match=words):
        find_table(DataSection(path="${PLACE}", **settings), tmp_path)


def test_a_driver_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyodbc", None)
    with pytest.raises(SetupError, match=r"needs the driver pyodbc.*pip install pyodbc"):
        find_table(DataSection(path="mssql://host/db#t"), tmp_path)


def test_the_day_of_the_run_is_put_in() -> None:
    data = DataSection(
        path="postgresql://host/{{ run date }}",
        query="SELECT :a, :b, :c",
        parameters={"a": "{{ run_date - 7d }}", "b": "until {{run_date + 1w}}", "c": 5},
    )
    filled = dated(data, date(2026, 6, 1))
    assert filled.path == "postgresql://host/2026-06-01"
    assert filled.parameters == {"a": date(2026, 5, 25), "b": "until 2026-06-08", "c": 5}
    assert dated(filled, date(2026, 1, 1)) is filled
    again = DataSection.model_validate_json(filled.model_dump_json())
    assert again == filled  # dates survive JSON


def test_another_template_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\{\{ today \}\}.* is not known.*run_date - 7d"):
        dated(DataSection(path="s3://b/{{ today }}.csv"), date(2026, 6, 1))


@pytest.mark.parametrize("days", ["999999999999", "9" * 5000])
def test_a_day_beyond_the_calendar_is_named(days: str) -> None:
    with pytest.raises(ConfigError, match="is beyond the calendar"):
        dated(DataSection(path=f"s3://b/{{{{ run_date + {days}d }}}}.csv"), date(2026, 6, 1))


def test_the_place_of_a_watch_has_the_day_of_the_schedule_too() -> None:
    config = parse_config({"data": {"path": "a.csv"}, "watch": {"path": "b/{{ run_date }}.csv"}})
    filled = with_run_date(config)
    assert (filled.data.path, filled.watch.path) == ("a.csv", f"b/{planned_day()}.csv")


def test_the_day_is_that_of_the_schedule_in_its_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoneinfo import ZoneInfo

    from prefect.runtime import flow_run

    # Prefect's own way to say in a test what a run is.
    monkeypatch.setattr(flow_run, "id", "a-run", raising=False)
    planned = datetime(2026, 5, 31, 22, 30, tzinfo=UTC)
    monkeypatch.setattr(flow_run, "scheduled_start_time", planned, raising=False)
    assert planned_day() == date(2026, 5, 31)
    assert planned_day(ZoneInfo("Europe/Berlin")) == date(2026, 6, 1)
    config = parse_config({"data": {"path": "s3://b/{{ run_date }}.csv"}})
    assert with_run_date(config, "Europe/Berlin").data.path == "s3://b/2026-06-01.csv"
    plain = parse_config({"data": {"name": "sim"}})
    assert with_run_date(plain) is plain
