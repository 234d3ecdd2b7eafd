"""One lock for all users of a store on a machine, whatever their umask, who may write where it lies."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from varjepa.errors import SetupError
from varjepa.tasks.tracking.locks import host_lock

TEAM, FIRST, SECOND = 54_321, 54_322, 54_323

CODE = f"""
import os, sys
from filelock import Timeout
from varjepa.tasks.tracking.locks import host_lock

def as_user(uid, umask, action):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setgroups([{TEAM}]), os.setgid(uid), os.setuid(uid), os.umask(umask)
        try:
            words = action()
        except BaseException as error:
            words = repr(error)
        os.write(writing, words.encode())
        os._exit(0)
    os.wait(), os.close(writing)
    return os.read(reading, 1000).decode()

def taken():
    try:
        host_lock(sys.argv[1], "runs").acquire(timeout=0)
    except Timeout:
        return "taken"
    return "free"

os.umask(0)
print(as_user({FIRST}, 0o077, taken), as_user({SECOND}, 0o077, taken))
with host_lock(sys.argv[1], "runs").acquire(timeout=0):
    print(as_user({FIRST}, 0o022, taken), as_user({SECOND}, 0o077, taken))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that a team may write to."""
    place = tmp_path / "team"
    place.mkdir()
    place.chmod(0o2770)
    return place


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as two other users")
@pytest.mark.parametrize("store", ["sqlite:///{}/mlflow.db", "http://127.0.0.1:9/{}"])
def test_two_users_share_a_lock(store: str, folder: Path) -> None:
    os.chown(folder, -1, TEAM)
    for parent in folder.parents:
        if parent.is_relative_to(tempfile.gettempdir()) and parent != Path(tempfile.gettempdir()):
            parent.chmod(0o755)
    words = [sys.executable, "-c", CODE, store.format(folder)]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    assert answer.stdout.split() == ["free", "free", "taken", "taken"], answer.stderr


@pytest.mark.parametrize(("place", "expected"), [(0o755, 0o644), (0o775, 0o664), (0o777, 0o666), (0o700, 0o644)])
def test_a_lock_is_as_open_as_its_folder(place: int, expected: int, folder: Path) -> None:
    folder.chmod(place)
    lock = host_lock(f"sqlite:///{folder}/mlflow.db", "runs")
    with lock:
        assert stat.S_IMODE(Path(lock.lock_file).stat().st_mode) == expected


def test_no_name_of_a_user_is_in_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for user in ("ada", "grace"):
        monkeypatch.setenv("LOGNAME", user)
        names.add(host_lock("http://127.0.0.1:9", "runs").lock_file)
    assert len(names) == 1


def test_a_link_is_not_followed(folder: Path) -> None:
    uri = f"sqlite:///{folder}/mlflow.db"
    path, target = Path(host_lock(uri, "runs").lock_file), folder / "precious"
    target.write_text("data")
    path.unlink()
    path.symlink_to(target)
    with pytest.raises(SetupError, match="cannot be opened"):
        host_lock(uri, "runs")
    assert target.read_text() == "data"
