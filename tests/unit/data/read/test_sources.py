"""What can be opened, and what is said of what cannot."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from varjepa.config import DataSection
from varjepa.data.read.sources import GLANCE, open_source, readable
from varjepa.errors import DataError

TABLE = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})


def read(path: Path | str, **settings: object) -> pl.DataFrame:
    source = open_source(DataSection(path=str(path), **settings))
    with readable(path):
        return source.frame.collect()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    TABLE.write_csv(tmp_path / "t.csv")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    TABLE.write_parquet(tmp_path / "t.parquet")
    TABLE.write_ipc(tmp_path / "t.arrow")
    TABLE.write_ipc(tmp_path / "t.feather")
    return tmp_path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.arrow", "t.feather"])
def test_every_format_reads_the_same(folder: Path, name: str) -> None:
    assert read(folder / name).equals(TABLE)


def test_folders_and_globs_in_the_order_of_names(tmp_path: Path) -> None:
    for name, part in (("b", TABLE[2:]), ("a", TABLE[:2])):
        part.write_parquet(tmp_path / f"{name}.parquet")
    assert read(tmp_path).equals(TABLE)
    assert read(tmp_path / "*.parquet").equals(TABLE)
    assert read(tmp_path / "[a]*.parquet").equals(TABLE[:2])


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_separators_are_found(tmp_path: Path, separator: str) -> None:
    TABLE.write_csv(tmp_path / "t.csv", separator=separator)
    assert read(tmp_path / "t.csv").equals(TABLE)


@pytest.mark.parametrize(
    ("first", "late", "dtype"),
    [
        ("1", "2", pl.Int64), ("1", "2.5", pl.Float64), ("1", "word", pl.String), ("1", "9" * 20, pl.Float64),
        ("", "7", pl.Int64), ("", "word", pl.String), ("true", "yes", pl.String), ("2.5", "1e5", pl.Float64),
        ("2020-01-01", "2020-02-03", pl.Date), ("2020-01-01", "today", pl.String), ("10:00:00", "x", pl.String),
        ("2020-01-01 10:00:00", "2020-01-01 11:00:00", pl.Datetime("us")),
        ("1", "9" * 60, pl.Float64), ("1.5", "5.", pl.Float64), ("1", "+5", pl.Int64), ("1", "-0", pl.Int64),
    ],
)  # fmt: skip
def test_the_last_row_has_a_say_in_the_types(tmp_path: Path, first: str, late: str, dtype: pl.DataType) -> None:
    lines = ["n,a", *(f"{number},{first}" for number in range(GLANCE + 1)), f"{GLANCE + 1},{late}"]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    found = read(tmp_path / "t.csv")
    assert found.schema == {"n": pl.Int64, "a": dtype}
    expected = pl.read_csv(tmp_path / "t.csv", schema_overrides={"a": dtype})
    assert found.equals(expected)


@pytest.mark.parametrize("late", ["007", "00", "01"])
def test_leading_zeros_anywhere_make_a_code(tmp_path: Path, late: str) -> None:
    lines = ["n,a", *(f"{number},{number}" for number in range(GLANCE + 1)), f"0,{late}", "7,0"]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    found = read(tmp_path / "t.csv")
    assert found.schema == {"n": pl.Int64, "a": pl.String}
    assert found["a"].tail(2).to_list() == [late, "0"]


def test_words_for_missing_values(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,?\nNA,x\n,y\n")
    assert read(tmp_path / "t.csv").null_count().row(0) == (2, 1)
    assert read(tmp_path / "t.csv", na_values=["NA", ""])["b"].to_list() == ["?", "x", "y"]


def test_sim_needs_no_file() -> None:
    assert open_source(DataSection(name="sim", rows=50)).frame.collect().shape == (50, 34)


def _damage(folder: Path) -> dict[str, tuple[Path, str]]:
    def put(name: str, content: bytes) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    whole = (folder / "t.csv.gz").read_bytes()
    long = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(5000)))
    (folder / "none").mkdir()
    return {
        "nothing there": (folder / "t.csb", 'No such file or folder.*Did you mean ".*t.csv"'),
        "empty": (put("empty.csv", b""), "is empty"),
        "truncated gzip": (put("cut.csv.gz", long[: len(long) // 2]), "cannot be read.*truncated or damaged"),
        "truncated header": (put("cut2.csv.gz", whole[:12]), "cannot be read.*truncated or damaged"),
        "duplicate names": (put("twice.csv", b"a,b,a\n1,2,3\n"), 'duplicate column names: "a"'),
        "ragged": (
            put("ragged.csv", b"a,b\n1,2\n3,4,5\n"),
            "has 1 row with more fields than the header has names: line 3",
        ),
        "no parquet": (put("bad.parquet", b"hello"), "cannot be read"),
        "no arrow": (put("bad.arrow", b"hello"), "cannot be read"),
        "empty sheet": (put("t.xlsx", b""), "is empty"),
        "empty folder": (folder / "none", "contains no table"),
        "no match": (folder / "none" / "*.csv", "No file matches"),
        "mixed folder": (folder / "t.[cp]*", "mixes the formats"),
        "kept name": (put("kept.csv", b"__row__,b\n1,2\n"), "Names like __this__ are reserved"),
    }


@pytest.mark.parametrize(
    "fault",
    ["nothing there", "empty", "truncated gzip", "truncated header", "duplicate names", "ragged", "no parquet",
     "no arrow", "empty sheet", "empty folder", "no match", "mixed folder", "kept name"],
)  # fmt: skip
def test_damaged_input_says_what_is_wrong(folder: Path, fault: str) -> None:
    path, message = _damage(folder)[fault]
    with pytest.raises(DataError, match=f"(?s){message}") as raised:
        read(path)
    assert "\n" not in str(raised.value)
