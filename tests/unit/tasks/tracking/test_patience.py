"""A tracking store that does not answer: words and a limit; one that cannot exist: said at once."""

import logging
import sqlite3
import time
from pathlib import Path
from threading import Timer
from urllib.request import urlopen

import pytest

from tests.store_servers import free_port
from varjepa.errors import SetupError
from varjepa.tasks.tracking import patience
from varjepa.tasks.tracking.locks import host_lock
from varjepa.tasks.tracking.patience import TrackingLostError, patiently
from varjepa.tasks.tracking.store import client_for
from varjepa.tasks.tracking.uris import database_file, normal_uri


@pytest.fixture(autouse=True)
def nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_lost", set())


def test_a_server_that_is_gone_is_waited_for_in_words_and_not_for_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(patience, "WORD_SECONDS", 0.2)
    monkeypatch.setattr(logging.getLogger("varjepa"), "propagate", True)
    uri, began = f"http://me:secret@127.0.0.1:{free_port()}", time.monotonic()

    def ask() -> bytes:
        with urlopen(uri.replace("me:secret@", ""), timeout=5) as answer:
            return answer.read()

    with caplog.at_level("INFO"), pytest.raises(TrackingLostError, match="has not answered for 1 second") as lost:
        patiently(ask, uri, 0.9)
    assert time.monotonic() - began < 4
    assert caplog.messages[0].startswith("waiting for the tracking store http://***@127.0.0.1")
    assert (lost.value.exit_code, lost.value.may_pass, "secret" in str(lost.value)) == (1, False, False)
    began = time.monotonic()
    with pytest.raises(TrackingLostError):
        patiently(ask, uri, 60)  # nobody waits for it again
    assert time.monotonic() - began < 1
    assert patiently(lambda: "answer", uri) == "answer"
    tries = iter([ConnectionResetError(), None])

    def ask_once_more() -> str:
        if (error := next(tries)) is not None:
            raise error
        return "answer"

    assert patiently(ask_once_more, uri, 60) == "answer"  # since it has answered


def test_a_store_that_answers_again_is_used_and_other_errors_pass() -> None:
    tries = iter([ConnectionResetError(), TimeoutError(), None])

    def ask() -> str:
        if (error := next(tries)) is not None:
            raise error
        return "answer"

    assert patiently(ask, "http://127.0.0.1:1", 30) == "answer"
    with pytest.raises(ValueError, match="no such run"):
        patiently(lambda: (_ for _ in ()).throw(ValueError("no such run")), "http://127.0.0.1:1")


def locked(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE IF NOT EXISTS rows (a)")
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    from varjepa.tasks.tracking.store import _require_usable

    connection = locked(tmp_path / "runs.db")
    with pytest.raises(TrackingLostError, match="database is locked"):
        client_for(f"sqlite:///{tmp_path}/runs.db", 1.0)
    patience._lost.clear()
    Timer(1.5, connection.rollback).start()
    patiently(lambda: _require_usable(tmp_path / "runs.db"), "sqlite:///runs.db", 30)


@pytest.mark.parametrize("uri", [
    "sqlite:///", "sqlite://", "sqlite:///:memory:", "sqlite:////proc/no/runs.db", "sqlite:////dev/null/runs.db",
    "sqlite:///{tmp}", "sqlite:///{tmp}/text.db",
])  # fmt: skip
def test_a_database_that_cannot_be_is_said_at_once(uri: str, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is a text, which has no pages of a database" * 20)
    began = time.monotonic()
    with pytest.raises(SetupError):
        client_for(uri.format(tmp=tmp_path))
    assert time.monotonic() - began < 10  # importing MLflow takes some of it


@pytest.mark.parametrize(
    "spelling", ["runs.db", "./runs.db", "../{name}/runs.db", "runs.db?timeout=60", "{tmp}/runs.db"]
)
def test_every_spelling_of_a_database_has_one_file_and_one_lock(
    spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = normal_uri("sqlite:///" + spelling.format(name=tmp_path.name, tmp=tmp_path))
    assert uri == normal_uri(uri) == f"sqlite:///{tmp_path}/runs.db"
    assert database_file(uri) == tmp_path / "runs.db"
    assert host_lock(uri, "runs").lock_file == host_lock(f"sqlite:///{tmp_path}/runs.db", "runs").lock_file
