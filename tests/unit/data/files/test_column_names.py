"""The names in a header are those that the whole file has."""

from pathlib import Path

import polars as pl
import pytest

from tests.unit.data.files.opening import opened, put
from tests.unit.data.files.test_delimited import KINDS
from tests.unit.data.files.test_formats import PACKED
from varjepa.config import DataSection
from varjepa.data.files.column_names import column_names
from varjepa.errors import DataError


def names_of(path: Path, **settings: object) -> list[str] | None:
    return column_names(str(path), DataSection(path=str(path), **settings))


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_text(kind: str, tmp_path: Path) -> None:
    path = put(tmp_path, KINDS[kind][0])
    known, columns = names_of(path), opened(path)[0].columns
    assert known in (columns, [*columns, ""])  # an unnamed last column vanishes if it holds nothing


@pytest.mark.parametrize("kind", PACKED)
def test_names_of_other_formats_or_none(kind: str, tmp_path: Path) -> None:
    known = names_of(put(tmp_path, PACKED[kind], "t"))
    assert known == (["a", "b"] if kind in ("Parquet", "Arrow") else None)


def test_names_of_folders_files_and_renamed_columns(tmp_path: Path) -> None:
    for year, header in ((2024, "a,b"), (2025, "b,c")):
        put(tmp_path, f"{header}\n1,2\n", f"year={year}/t.csv")
    assert names_of(tmp_path) == ["a", "b", "year", "c"]
    assert set(names_of(tmp_path) or ()) == set(opened(tmp_path)[0].columns)
    assert names_of(tmp_path, rename={"a": "A", "z": "Z"}) == ["A", "b", "year", "c"]


def test_many_files_are_left_alone(tmp_path: Path) -> None:
    for number in range(21):
        pl.DataFrame({"a": [number]}).write_parquet(tmp_path / f"{number}.parquet")
    assert names_of(tmp_path) is None


def test_what_is_wrong_with_a_header_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="duplicate column names"):
        names_of(put(tmp_path, "a,a\n1,2\n"))
