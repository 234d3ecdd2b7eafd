"""Files that are replaced between their fingerprint and the end of reading them."""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.unit.tasks.sources.conftest import PEOPLE
from varjepa.config import DataSection
from varjepa.errors import InterruptedReadError
from varjepa.tasks.sources.fingerprints import file_fingerprint
from varjepa.tasks.sources.open_table import find_table, require_unchanged


def replaced(folder: Path) -> None:
    PEOPLE.reverse().write_csv(folder / "new")
    (folder / "new").replace(folder / "a.csv")


def written_in_place(folder: Path) -> None:
    content = (folder / "a.csv").read_bytes()
    (folder / "a.csv").write_bytes(content[:-2] + content[-2:-1] + b"\n")
    (folder / "a.csv").write_bytes(content[:10] + b"7" + content[11:])


def with_its_old_time(folder: Path) -> None:
    time = (folder / "a.csv").stat().st_mtime_ns
    replaced(folder)
    os.utime(folder / "a.csv", ns=(time, time))


def put_back(folder: Path) -> None:
    content = (folder / "a.csv").read_bytes()
    replaced(folder)
    (folder / "b").write_bytes(content)
    (folder / "b").replace(folder / "a.csv")


def joined_by_another(folder: Path) -> None:
    PEOPLE.head(1).write_csv(folder / "b.csv")


def left_by_one(folder: Path) -> None:
    (folder / "z.csv").unlink()


CHANGES = [replaced, written_in_place, with_its_old_time, put_back, joined_by_another, left_by_one]


@pytest.mark.parametrize("old", [False, True], ids=["just written", "of long ago"])
@pytest.mark.parametrize("path", ["", "/*.csv", "/a.csv"], ids=["folder", "glob", "file"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_while_files_are_read_is_noticed(
    change: Callable[[Path], None], path: str, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, stage = tmp_path / "table", tmp_path / "stage"
    for made in (folder, stage):
        made.mkdir()
    for name in ("a.csv", "z.csv"):
        PEOPLE.write_csv(folder / name)
    if old:
        monkeypatch.setattr("varjepa.tasks.sources.fingerprints.TICK_SECONDS", 0.0)
    found = find_table(DataSection(path=f"{folder}{path}"), stage)
    fingerprint = found.fingerprint()
    require_unchanged(found, fingerprint)
    change(folder)
    if path == "/a.csv" and change in (joined_by_another, left_by_one):
        require_unchanged(found, fingerprint)
        return
    with pytest.raises(InterruptedReadError, match="changed while it was read"):
        require_unchanged(found, fingerprint)


def test_a_file_of_another_folder_that_makes_a_column_is_another_table(tmp_path: Path) -> None:
    files = [tmp_path / folder / "a.csv" for folder in ("year=2025", "year=2026", "2025", "2026")]
    for file in files:
        file.parent.mkdir()
        PEOPLE.write_csv(file)
    one, other, plain, same = (file_fingerprint((file,)) for file in files)
    assert one != other
    assert plain == same == sha256(files[0].read_bytes()).hexdigest()
