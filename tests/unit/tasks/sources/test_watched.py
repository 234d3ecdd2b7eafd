"""Settings of a watch or a schedule that cannot work are refused when it begins, not at its first run."""

from pathlib import Path
from typing import Any

import pytest

from varjepa.config import parse_config
from varjepa.errors import ConfigError
from varjepa.flows.commands.checks import require_job
from varjepa.tasks.sources.watched import require_rows


@pytest.mark.parametrize(
    ("watch", "said"),
    [
        ({"query": "SELECT 1"}, "watch.query is a query of watch.path, which is missing"),
        ({"path": "new.csv", "query": "SELECT 1"}, "needs the URI of a database"),
        ({"path": "postgresql://host/shop"}, "needs either data.query or a table"),
        ({"path": "ftp://host/new.csv"}, 'begins with "ftp://", which is not known'),
    ],
)
def test_a_place_that_cannot_be_read_is_refused(watch: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        require_rows(parse_config({"data": {"path": "a.csv"}, "watch": watch}))


def test_places_that_can_be_read_are_accepted() -> None:
    for watch in ({}, {"path": "b.csv"}, {"path": "postgresql://host/shop", "query": "SELECT 1"}):
        assert require_rows(parse_config({"data": {"path": "a.csv"}, "watch": watch})) == watch.get("path", "a.csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: {path: 's3://b/{{ today }}.csv'}", "is not known"),
        ("data: {path: a.csv}\nwatch: {path: '{{ tomorrow }}.csv'}", "is not known"),
        ("data: {path: '${VARJEPA_UNSET}/a.csv'}", "names the variable VARJEPA_UNSET, which is not set"),
    ],
)
def test_a_schedule_does_not_begin_with_what_ends_every_run(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "job.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        require_job(tmp_path / "job.yaml", now=False)
