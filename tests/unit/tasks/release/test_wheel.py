"""The wheel that registered models bring: the installed code, the same bytes every time."""

import csv
import io
import subprocess
import sys
import zipfile
from pathlib import Path

from varjepa.tasks.release.wheel import requirement, write_wheel


def test_equal_code_gives_equal_bytes(tmp_path: Path) -> None:
    first, second = (
        write_wheel(folder) for folder in (tmp_path, tmp_path / "again") if not folder.mkdir(exist_ok=True)
    )
    assert first.read_bytes() == second.read_bytes()
    assert requirement(first) == f"./artifacts/{first.name}"


def test_it_holds_every_file_that_its_record_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_wheel(tmp_path)) as wheel:
        (record,) = (name for name in wheel.namelist() if name.endswith("RECORD"))
        listed = {row[0] for row in csv.reader(io.StringIO(wheel.read(record).decode()))}
        assert listed == set(wheel.namelist())
        assert "varjepa/inference/storage.py" in listed
        assert not any("__pycache__" in name for name in listed)
        metadata = wheel.read(record.replace("RECORD", "METADATA")).decode()
    assert "Requires-Dist: torch" in metadata


def test_its_code_runs_without_another_copy(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); import varjepa.errors; print(varjepa.__file__)"
    answer = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert str(wheel) in answer.stdout
