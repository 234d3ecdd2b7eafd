"""A disk that takes no more: real ones, and the words of the libraries that write."""

import errno
import logging
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from varjepa.errors import DataError, VarjepaError
from varjepa.tasks.destinations.local_file import table_writer
from varjepa.tasks.steps.files import NoRoomError, disk_trouble, full_disk_in_words, require_room, write_text
from varjepa.tasks.steps.retries import may_help
from varjepa.tasks.tracking.locks import host_lock
from varjepa.tasks.tracking.patience import may_answer_again
from varjepa.tasks.tracking.store import client_for

LIMIT = 20_000
NUMBERS = np.random.default_rng(0).random(100_000)


def database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA max_page_count = 4")
    connection.execute("CREATE TABLE rows (a)")
    connection.executemany("INSERT INTO rows VALUES (?)", [("a" * 1000,)] * 100)


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: write_text(path, "a" * 100_000),
    "numpy": lambda path: np.save(path, NUMBERS),
    "csv": lambda path: pl.DataFrame({"a": NUMBERS}).write_csv(path),
    "parquet": lambda path: pl.DataFrame({"a": NUMBERS}).write_parquet(path),
    "a stream of parquet": lambda path: pl.DataFrame({"a": NUMBERS}).lazy().sink_parquet(path),
    "safetensors": lambda path: save_file({"a": torch.from_numpy(NUMBERS)}, path),
    "torch": lambda path: torch.save(torch.from_numpy(NUMBERS), path),
    "sqlite": database,
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize(
    "name", [name for name in WRITERS if name in ("csv", "parquet", "a stream of parquet", "torch")]
)
def test_a_full_device_is_said_in_words(name: str) -> None:
    with pytest.raises(VarjepaError, match="is full"), full_disk_in_words():
        WRITERS[name](Path("/dev/full"))


@pytest.fixture
def _small_files() -> Iterator[None]:
    """No file may grow beyond `LIMIT` bytes."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("_small_files")
@pytest.mark.parametrize("name", ["text", "numpy", "csv", "parquet", "a stream of parquet", "sqlite"])
def test_a_limit_of_the_size_of_files_is_said_in_words(name: str, tmp_path: Path) -> None:
    with pytest.raises(NoRoomError, match=r"^The disk of .* [MG]iB are free\. Make room"), full_disk_in_words():
        WRITERS[name](tmp_path / "file")


def scores(path: Path) -> None:
    with table_writer(path, force=False) as writer:
        for _ in range(3):
            writer.write(pl.DataFrame({"a": NUMBERS}))


@pytest.mark.usefixtures("_small_files")
@pytest.mark.parametrize(
    ("name", "write"), [("page.html", WRITERS["text"]), ("scores.csv", scores), ("scores.parquet", scores)]
)
def test_the_disk_of_the_output_is_named_not_that_of_the_working_folder(
    name: str, write: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be another one, which is full while the working folder has room."""
    for folder in (out := tmp_path / "out", work := tmp_path / "work"):
        folder.mkdir()
    monkeypatch.chdir(work)
    with pytest.raises(NoRoomError, match=f"^The disk of {out} takes no file of this size"), full_disk_in_words():
        write(out / name)
    assert not [*out.iterdir()]


@pytest.mark.usefixtures("_small_files")
@pytest.mark.parametrize("copy", [
    lambda out: shutil.copyfile(os.__file__, out / "os.py"),
    lambda out: shutil.copytree(Path(logging.__file__).parent, out / "logging"),
])  # fmt: skip
def test_the_disk_that_is_copied_to_is_named_not_the_one_that_is_read(
    copy: Callable[[Path], object], tmp_path: Path
) -> None:
    with (
        pytest.raises(NoRoomError, match=f"^The disk of {tmp_path}.* takes no file of this size"),
        full_disk_in_words(),
    ):
        copy(tmp_path)


@pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="only root can mount a disk")
@pytest.mark.parametrize("take", [client_for, lambda uri: host_lock(uri, "runs")])
def test_a_tracking_store_on_a_read_only_disk_is_no_matter_of_owners_or_settings(
    take: Callable[[str], object], tmp_path: Path
) -> None:
    place = tmp_path / "read-only"
    place.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(place)]
    if subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        with pytest.raises(NoRoomError, match=f"^The disk of {place}(/mlruns)? is read-only"), full_disk_in_words():
            take(f"sqlite:///{place}/mlruns/mlflow.db")
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize(("free", "gone"), [(300_000, True), (50_000, False), (2**34, False)])
def test_room_that_a_file_has_left_again_is_not_taken_for_enough(
    free: int, gone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The room is measured after the file is gone, which no real disk does at a moment of the test's choice.
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=2 * free, free=free))
    assert ("the file which did not fit is gone again" in str(NoRoomError(tmp_path, "is full"))) == gone
    assert "gone again" not in str(NoRoomError(tmp_path, "is read-only"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG])
def test_a_disk_that_takes_no_more_is_no_reason_to_try_again(number: int) -> None:
    from prefect.states import Failed

    error = RuntimeError("the library failed")
    error.__cause__ = OSError(number, os.strerror(number), "/somewhere/file")
    assert disk_trouble(error)
    assert not may_help(None, None, Failed(data=error))
    assert not may_answer_again(error)


@pytest.mark.parametrize("error", [OSError(errno.ENOENT, "No such file"), ValueError("a"), RuntimeError("b")])
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)), full_disk_in_words():
        raise error
    with pytest.raises(DataError), full_disk_in_words():
        raise DataError("no space left in the words of an error of ours")


def test_room_is_asked_for_before_large_work(tmp_path: Path) -> None:
    require_room(tmp_path / "not" / "yet", 1, "the checkpoint")
    with pytest.raises(NoRoomError, match=r"has too little room: .* and the checkpoint takes 1,\d+"):
        require_room(tmp_path, 2**60, "the checkpoint")
