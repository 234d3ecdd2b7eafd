"""Folders: partitions, files with other columns, orders and types, and what is passed over."""

from pathlib import Path

import polars as pl
import pytest

from tests.unit.data.files.opening import opened, put
from varjepa.data.read.sources import source_files
from varjepa.errors import DataError
from varjepa.tasks.sources.fingerprints import file_fingerprint
from varjepa.tasks.sources.glance import require_table

WRITERS = {"csv": pl.DataFrame.write_csv, "parquet": pl.DataFrame.write_parquet, "arrow": pl.DataFrame.write_ipc}
FORMATS = list(WRITERS)


def write(frame: pl.DataFrame, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[place.suffix[1:]](frame, place)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("g=a", "g=b"), {"g": ["a", "b"]}), (("g=1", "g=20"), {"g": [1, 20]}), (("g=1", "g=x"), {"g": ["1", "x"]}),
        (("g=01", "g=02"), {"g": ["01", "02"]}), (("g=1", "g=2.5"), {"g": [1.0, 2.5]}),
        (("g=1/h=x", "g=2/h=y"), {"g": [1, 2], "h": ["x", "y"]}), (("g=a%20b", "g=c"), {"g": ["a b", "c"]}),
        (("g=1", "g=__HIVE_DEFAULT_PARTITION__"), {"g": [1, None]}),
    ],
)  # fmt: skip
def test_partitions(tmp_path: Path, kind: str, keys: tuple[str, str], expected: dict[str, list[object]]) -> None:
    for number, key in enumerate(keys):
        write(pl.DataFrame({"x": [number]}), tmp_path / key / f"0.{kind}")
    table, notes = opened(tmp_path)
    assert table.to_dict(as_series=False) == {"x": [0, 1]} | expected
    assert "names of folders" in notes
    single, _ = opened(tmp_path / keys[0] / f"0.{kind}")
    assert single.columns == table.columns


def test_partitions_tell_tables_apart(tmp_path: Path) -> None:
    for key in ("g=a", "g=b"):
        write(pl.DataFrame({"x": [1]}), tmp_path / key / "0.parquet")
    before = file_fingerprint(source_files(str(tmp_path)))
    (tmp_path / "g=b").rename(tmp_path / "g=c")
    assert file_fingerprint(source_files(str(tmp_path))) != before


def test_a_column_of_the_files_that_is_also_a_key_is_said(tmp_path: Path) -> None:
    for key in ("g=a", "g=b"):
        write(pl.DataFrame({"x": [1], "g": ["other"]}), tmp_path / key / "0.parquet")
    table, notes = opened(tmp_path)
    assert table["g"].to_list() == ["other", "other"]
    assert 'have themselves, which are read: "g"' in notes


@pytest.mark.parametrize("kind", FORMATS)
def test_columns_go_by_name(tmp_path: Path, kind: str) -> None:
    write(pl.DataFrame({"a": [1], "b": ["x"]}), tmp_path / f"1.{kind}")
    write(pl.DataFrame({"b": ["y"], "a": [2]}), tmp_path / f"2.{kind}")
    assert opened(tmp_path)[0].to_dict(as_series=False) == {"a": [1, 2], "b": ["x", "y"]}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_column_that_some_files_lack_is_null_there(tmp_path: Path, kind: str) -> None:
    write(pl.DataFrame({"a": [1], "b": ["x"]}), tmp_path / f"1.{kind}")
    write(pl.DataFrame({"a": [2], "c": [0.5]}), tmp_path / f"2.{kind}")
    table, notes = opened(tmp_path)
    assert table.to_dict(as_series=False) == {"a": [1, 2], "b": ["x", None], "c": [None, 0.5]}
    assert f'The column "b" is missing in "2.{kind}"' in notes
    assert f'The column "c" is missing in "1.{kind}"' in notes


def test_columns_that_the_same_files_lack_are_one_note(tmp_path: Path) -> None:
    write(pl.DataFrame({"a": [1], "b": ["x"], "c": [2]}), tmp_path / "1.csv")
    write(pl.DataFrame({"a": [2]}), tmp_path / "2.csv")
    _, notes = opened(tmp_path)
    assert 'The columns "b", "c" are missing in "2.csv": read as null there.' in notes
    assert notes.count("read as null") == 1


WIDENED = [
    (pl.Int8, pl.Int32, pl.Int32), (pl.Int64, pl.Float32, pl.Float64), (pl.UInt8, pl.Int16, pl.Int16),
    (pl.Float32, pl.Float64, pl.Float64), (pl.Null, pl.Int16, pl.Int16), (pl.String, pl.Null, pl.String),
    (pl.Categorical, pl.String, pl.String), (pl.Enum(["1", "2"]), pl.Categorical, pl.String),
    (pl.Decimal(10, 2), pl.Int32, None), (pl.Date, pl.Datetime("us"), pl.Datetime("us")),
    (pl.Datetime("ms"), pl.Datetime("us"), None),
    (pl.Datetime("ms", "Europe/Berlin"), pl.Datetime("us", "UTC"), pl.Datetime("us", "UTC")),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "expected"), WIDENED)
def test_types_are_widened(tmp_path: Path, one: pl.DataType, other: pl.DataType, expected: pl.DataType | None) -> None:
    values = {pl.Null: [None], pl.Date: [pl.date(2020, 1, 2)]}
    for name, dtype in (("1", one), ("2", other)):
        start = pl.Series([None if dtype == pl.Null else 1])
        texts = isinstance(dtype, pl.Enum) or dtype in (pl.String, pl.Categorical)
        write(start.cast(pl.String if texts else dtype).cast(dtype).to_frame("a"), tmp_path / f"{name}.parquet")
    table, _ = opened(tmp_path)
    assert table.height == 2
    assert expected is None or table["a"].dtype == expected
    assert table["a"].null_count() == (pl.Null in (one, other))
    assert values


@pytest.mark.parametrize(
    ("one", "other"), [(pl.Int64, pl.String), (pl.Boolean, pl.Int64), (pl.Date, pl.Float64), (pl.Duration, pl.Int64)]
)
def test_types_that_do_not_go_together_name_file_and_column(
    tmp_path: Path, one: pl.DataType, other: pl.DataType
) -> None:
    for name, dtype in (("1", one), ("2", other)):
        write(pl.DataFrame({"k": [1], "a": pl.Series([1]).cast(dtype)}), tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match=r'The column "a" of .*2\.parquet is .*, and .* in .*1\.parquet') as raised:
        opened(tmp_path)
    assert "damaged" not in str(raised.value)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("1", "word", ["1", "word"]), ("1.50", "word", ["1.50", "word"]), ("1", "2.5", [1.0, 2.5]),
        ("1", "007", ["1", "007"]), ("true", "yes", ["true", "yes"]), ("", "", [None, None]), ("1", "", [1, None]),
        ("true", "1", ["true", "1"]), ("01.50", "x", ["01.50", "x"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("separators", [",,", ",;"])
def test_all_csv_files_decide_on_the_types(
    tmp_path: Path, one: str, other: str, expected: list[object], separators: str
) -> None:
    for number, cell in enumerate((one, other)):
        put(tmp_path, f"k{separators[number]}a\n1{separators[number]}{cell}\n", f"{number}.csv")
    assert opened(tmp_path)[0]["a"].to_list() == expected


def test_each_csv_file_has_its_dialect(tmp_path: Path) -> None:
    put(tmp_path, "a,b\n1,x\n", "1.csv")
    put(tmp_path, "sep=;\nb;a\né;2\n".encode("cp1252"), "2.tsv")
    put(tmp_path, "a\tb\r\n\r\n3\tz\r\n".encode("utf-16"), "3.csv")
    table, notes = opened(tmp_path)
    assert table.to_dict(as_series=False) == {"a": [1, 2, 3], "b": ["x", "é", "z"]}
    assert "2.tsv: Read as Windows-1252" in notes
    assert "3.csv: 1 blank line skipped" in notes


def test_other_files_of_a_folder_are_passed_over(tmp_path: Path) -> None:
    write(pl.DataFrame({"a": [1]}), tmp_path / "part-0.parquet")
    for name in (
        "_SUCCESS", "_metadata", ".part-0.parquet.crc", ".hidden.parquet", "_committed_1", "part-0.parquet.md5",
        "README.md", "notes.txt", "empty.parquet",
    ):  # fmt: skip
        put(tmp_path, b"" if name == "empty.parquet" else b"x", name)
    (tmp_path / "old").mkdir()
    write(pl.DataFrame({"a": [2]}), tmp_path / "_delta_log" / "1.parquet")
    table, notes = opened(tmp_path)
    assert table["a"].to_list() == [1]
    assert source_files(str(tmp_path)) == (tmp_path / "part-0.parquet",)
    for name in ("README.md", "empty.parquet", "notes.txt", "old"):
        assert name in notes
    assert "_SUCCESS" not in notes
    write(pl.DataFrame({"b": [2]}), tmp_path / "_common.parquet")
    assert opened(tmp_path / "*.parquet")[0]["a"].to_list() == [1]


@pytest.mark.parametrize("names", [("a.txt", "b.txt"), ("1.data", "2.dat"), ("part-00000", "part-00001"), ("p.c000",)])
def test_folders_of_files_without_a_telling_name(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        put(tmp_path, "a,b\n1,x\n", name)
    assert opened(tmp_path)[0].height == len(names)


def test_folders_within_folders_need_a_glob(tmp_path: Path) -> None:
    write(pl.DataFrame({"a": [1]}), tmp_path / "old" / "0.csv")
    with pytest.raises(DataError, match=r"contains no table.*give a glob"):
        opened(tmp_path)
    assert opened(tmp_path / "**" / "*.csv")[0].height == 1


def test_text_stays_text_whatever_a_file_holds(tmp_path: Path) -> None:
    put(tmp_path, "a,b\n1.50,1\n2,\n", "t.csv")
    table, _ = opened(tmp_path / "t.csv", text=("a", "c"))
    assert table.to_dict(as_series=False) == {"a": ["1.50", "2"], "b": [1, None]}
    put(tmp_path, "x\n1\n", "g=1/0.csv")
    assert opened(tmp_path / "g=1" / "0.csv", text=("g",))[0].to_dict(as_series=False) == {"x": [1], "g": ["1"]}


def test_columns_of_many_parts_keep_the_order_of_rows(tmp_path: Path) -> None:
    for number in range(9):
        columns = {"n": [number], "a": [number]} if number % 3 else {"a": [number], "n": [number]}
        write(pl.DataFrame(columns), tmp_path / f"{number}.{FORMATS[0]}")
    assert opened(tmp_path)[0]["n"].to_list() == list(range(9))


def test_names_with_patterns_are_no_patterns(tmp_path: Path) -> None:
    write(pl.DataFrame({"*": [1], "^a.*$": [2], "a": [3]}), tmp_path / "t[1].parquet")
    write(pl.DataFrame({"a": [0.5], "*": [1]}), tmp_path / "u*.parquet")
    assert opened(tmp_path / "t[1].parquet")[0].row(0) == (1, 2, 3)
    assert opened(tmp_path)[0].rows() == [(1, 2, 3.0), (1, None, 0.5)]


@pytest.mark.parametrize("pattern", ["t**.csv", "a/**b/*.csv"])
def test_a_pattern_that_python_does_not_read_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(DataError, match=r"is no pattern of files.*data/\*\*/\*\.csv"):
        opened(tmp_path / pattern)


def test_a_name_that_begins_like_a_home_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "a,b\n1,2\n", "~$book.csv")
    assert opened(Path("~$book.csv"))[0].rows() == [(1, 2)]
    assert require_table("~$book.csv") is None
