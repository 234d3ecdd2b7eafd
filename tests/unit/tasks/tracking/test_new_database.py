"""A new tracking database waits for the disk once, and later ones as always."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from varjepa.tasks.tracking.store import _unsynced, client_for

FULL, OFF = 2, 0


def synchronous(database: Path) -> int:
    """How a new connection to a SQLite file waits for the disk."""
    with create_engine(f"sqlite:///{database}").connect() as connection:
        return connection.execute(text("PRAGMA synchronous")).scalar_one()


@pytest.mark.parametrize("name", ["new.unfinished", "with space.db", "ü.db"])
def test_only_the_database_that_is_being_created_is_not_synced(name: str, tmp_path: Path) -> None:
    new, other = tmp_path / name, tmp_path / "other.db"
    with pytest.raises(RuntimeError, match="stop"), _unsynced(new):  # noqa: PT012 (both contexts end by it)
        assert synchronous(new) == OFF
        assert synchronous(other) == FULL
        with create_engine("sqlite://").connect() as connection:  # one that is no file
            assert connection.execute(text("PRAGMA synchronous")).scalar_one() == FULL
        raise RuntimeError("stop")
    assert synchronous(new) == synchronous(other) == FULL


@pytest.mark.slow
def test_a_new_database_is_whole_and_alone(tmp_path: Path) -> None:
    database = tmp_path / "mlruns" / "mlflow.db"
    client = client_for(f"sqlite:///{database}")
    experiment = client.create_experiment("kept")
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT name FROM experiments WHERE experiment_id = ?", (experiment,)).fetchone()
    assert not list(database.parent.glob("*unfinished*"))
    assert synchronous(database) == FULL
