"""Which files of a table are still to be scored, and where their scores go: never those of other files."""

from dataclasses import replace
from pathlib import Path

import pytest

from varjepa.errors import ConfigError
from varjepa.tasks.scoring.many_files import Job, parts_of, waiting

JOB = Job("m", None, "cpu", "float32", "digest", ("prediction",), (), 0, 0)


def table(folder: Path, *names: str) -> str:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n1\n")
    return str(folder)


def scored(parts: list[tuple[Path, Path]]) -> None:
    for _, scores in parts:
        scores.write_text("scores")


def test_files_of_one_name_in_the_folders_of_a_pattern_have_scores_of_their_own(tmp_path: Path) -> None:
    place, out = table(tmp_path / "t", "2024/part.csv", "2025/part.csv", "k=1/part.csv"), tmp_path / "out"
    names = [scores.name for _, scores in parts_of(f"{place}/*/part.csv", out)]
    assert names == ["2024,part.csv.parquet", "2025,part.csv.parquet", "k=1,part.csv.parquet"]
    assert [scores.name for _, scores in parts_of(f"{place}/k=1/*.csv", out)] == ["k=1,part.csv.parquet"]
    assert [scores.name for _, scores in parts_of(f"{place}/2024/p*.csv", out)] == ["part.csv.parquet"]
    table(tmp_path / "t", "a,b/part.csv", "a/b,part.csv")
    with pytest.raises(ConfigError, match="would both be a,b,part"):
        parts_of(f"{place}/a*/*.csv", out)


def test_another_table_is_not_taken_for_scored(tmp_path: Path) -> None:
    out, june, july = (tmp_path / name for name in ("out", "june", "july"))
    parts = parts_of(table(june, "0.csv", "1.csv"), out)
    others = parts_of(table(july, "0.csv", "2.csv"), out)
    assert waiting(parts, JOB, out, force=False) == parts
    scored(parts)
    assert waiting(parts, JOB, out, force=False) == []
    with pytest.raises(ConfigError, match=r"other files of the same names: 0.csv.parquet is of .*june/0.csv"):
        waiting(others, JOB, out, force=False)
    assert waiting(others[1:], JOB, out, force=False) == others[1:]  # files of new names may come beside
    scored(others[1:])
    assert waiting(parts + others[1:], JOB, out, force=False) == []


def test_forced_scores_that_a_killed_process_has_not_made_are_made(tmp_path: Path) -> None:
    out = tmp_path / "out"
    parts, new = parts_of(table(tmp_path / "t", "0.csv", "1.csv"), out), replace(JOB, digest="new")
    waiting(parts, JOB, out, force=False)
    scored(parts)
    assert waiting(parts, new, out, force=True) == parts
    scored(parts[:1])  # killed here
    assert waiting(parts, new, out, force=False) == parts[1:]
