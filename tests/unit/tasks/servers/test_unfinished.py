"""A data folder of PostgreSQL whose making was killed is made again."""

from pathlib import Path

import pytest

from varjepa.tasks.servers.postgres import _initialise, _owner, _password, program


@pytest.mark.slow
def test_a_killed_beginning_is_not_taken_for_a_database(open_folder: Path) -> None:
    """What initdb writes first is its version, by which a finished folder is known."""
    initdb = program("initdb")
    if initdb is None:
        pytest.skip("there is no PostgreSQL on this machine")
    folder = open_folder / "killed"
    (folder / "postgres.unfinished" / "global").mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "postgres.unfinished" / "PG_VERSION").write_text("17\n")
    (folder / "password").touch()
    password = _password(folder)
    assert len(password) > 20
    _initialise(str(initdb), folder / "postgres", password, _owner(folder))
    assert (folder / "postgres" / "global" / "pg_control").is_file()
    assert sorted(path.name for path in folder.iterdir()) == ["password", "postgres"]
