"""The content of a file tells its format; compressions, spreadsheets, JSON and Arrow streams."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter
import zstandard

from tests.unit.data.files.opening import opened, put
from varjepa.errors import DataError

TABLE = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
TEXT = b"a;b\n1;x\n2;\n3;z\n"


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return buffer.getvalue()


def stored(method: str) -> bytes:
    buffer = io.BytesIO()
    getattr(TABLE, method)(buffer)
    return buffer.getvalue()


PARQUET, LINES = stored("write_parquet"), stored("write_ndjson")
PACKED = {
    "gzip": gzip.compress(TEXT), "zstd": zstandard.compress(TEXT), "xz": lzma.compress(TEXT),
    "bzip2": bz2.compress(TEXT), "zip": zipped(t_csv=TEXT), "gzip in zip": zipped(t_csv_gz=gzip.compress(TEXT)),
    "several gzip members": gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:]),
    "several zstd frames": zstandard.compress(TEXT[:9]) + zstandard.compress(TEXT[9:]),
    "Parquet in zip": zipped(t_parquet=PARQUET), "Parquet in gzip": gzip.compress(PARQUET), "Parquet": PARQUET,
    "Arrow": stored("write_ipc"), "Arrow stream": stored("write_ipc_stream"), "JSON lines": LINES,
    "JSON lines in gzip": gzip.compress(LINES), "JSON": stored("write_json"),
    "JSON lines, blank ones too": b"\n" + LINES + b"\n\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("name", ["t", "t.csv"])
def test_content_tells_the_format(tmp_path: Path, kind: str, name: str) -> None:
    table, notes = opened(put(tmp_path, PACKED[kind], name))
    assert table.equals(TABLE)
    assert table.schema == TABLE.schema
    assert not notes


def book(path: Path, **sheets: list[list[object]]) -> Path:
    with xlsxwriter.Workbook(path) as made:
        for name, rows in sheets.items():
            sheet = made.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return path


ROWS: list[list[object]] = [["a", "b"], [1, "x"], [2, None], [3, "z"]]


@pytest.mark.parametrize(
    ("sheets", "settings", "note"),
    [
        ({"one": ROWS}, {}, ""),
        ({"empty": [], "one": ROWS}, {}, ""),
        ({"one": ROWS, "two": [["c"], [1]]}, {}, 'Read the sheet "one".*"two"'),
        ({"two": [["c"], [1]], "one": ROWS}, {"sheet": "one"}, ""),
        ({"one": [["Report of May"], [], *ROWS]}, {}, "2 rows before the header"),
        ({"one": [[*row, None] for row in ROWS]}, {}, ""),
        ({"one": [*ROWS[:2], [], *ROWS[2:]]}, {}, "1 blank row skipped"),
    ],
)
def test_spreadsheets(
    tmp_path: Path, sheets: dict[str, list[list[object]]], settings: dict[str, object], note: str
) -> None:
    table, notes = opened(book(tmp_path / "t.xlsx", **sheets), **settings)
    assert table.equals(TABLE)
    assert re.search(note, notes)
    assert bool(notes) == bool(note), notes


def test_cells_without_a_value_are_no_warnings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A title of one cell above the header, and a column without a cell, were ten lines of warnings."""
    rows: list[list[object]] = [["a", "b", "c"], [1, None, "x"], [2, None, "y"]]
    table, _ = opened(book(tmp_path / "t.xlsx", one=[["Report of May"], [], *rows]))
    assert table.columns == ["a", "b", "c"]
    assert not caplog.records


def test_a_sheet_without_a_header_is_refused_and_read_where_that_is_said(tmp_path: Path) -> None:
    """Its first row became the names, in silence."""
    path = book(tmp_path / "t.xlsx", one=[[5.1, 3.5, "setosa"], [4.9, 3.0, "setosa"], [7.0, 3.2, "virginica"]])
    with pytest.raises(DataError, match=r"no header: its first row holds values, such as 5\.1.*data\.header to false"):
        opened(path)
    table, _ = opened(path, header=False)
    assert (table.columns, table.height) == (["column_1", "column_2", "column_3"], 3)
    table, _ = opened(path, header=True)
    assert (table.columns, table.height) == (["5.1", "3.5", "setosa"], 2)


def test_years_are_names_of_columns_of_a_sheet(tmp_path: Path) -> None:
    table, _ = opened(book(tmp_path / "t.xlsx", one=[["land", 2019, 2020], ["a", 1.5, 2], ["b", 3, 4.5]]))
    assert table.columns == ["land", "2019", "2020"]


def test_cells_of_a_spreadsheet_that_mix_types_become_text(tmp_path: Path) -> None:
    rows: list[list[object]] = [["a", "b"], *([number, number] for number in range(2000)), ["word", 0.5]]
    table, _ = opened(book(tmp_path / "t.xlsx", one=rows))
    assert table.schema == {"a": pl.String, "b": pl.Float64}
    assert table.row(0) == ("0", 0.0)
    assert table.row(-1) == ("word", 0.5)


def test_numbers_beside_text_keep_their_digits(tmp_path: Path) -> None:
    numbers = [1.5e-12, -1.25 / 3, 12345678.12345678, 2.5e300, 40]
    cells = [*numbers, "n/a", "007", "1.50", "1,5", True]
    table, _ = opened(book(tmp_path / "t.xlsx", one=[["a", "b"], *([cell, 1] for cell in cells)]))
    text = table["a"].to_list()
    assert [float(cell) for cell in text[: len(numbers)]] == numbers
    assert text[len(numbers) :] == ["n/a", "007", "1.50", "1,5", "true"]


def test_json_lines_may_lack_keys_and_nest(tmp_path: Path) -> None:
    lines = '{"a": 1, "n": {"x": 1}}\n' * 500 + '{"a": 2.5, "b": "late", "l": [1, 2]}\n'
    table, _ = opened(put(tmp_path, lines, "t.jsonl"))
    assert sorted(table.columns) == ["a", "b", "l", "n"]
    assert table["a"].dtype == pl.Float64
    assert table["b"].to_list() == [None] * 500 + ["late"]
    assert table["n"].dtype.is_nested()
    assert table["l"].dtype.is_nested()


REFUSED = {
    "nothing": (b"", "is empty"),
    "nothing in gzip": (gzip.compress(b""), "is empty"),
    "blanks": (b"\n \n", "is empty"),
    "cut gzip": (gzip.compress(TEXT * 99)[:40], "cannot be read.*truncated or damaged"),
    "cut zstd": (zstandard.compress(TEXT * 9)[:-9], "cannot be read.*truncated or damaged"),
    "cut xz": (lzma.compress(TEXT * 99)[:-20], "cannot be read.*truncated or damaged"),
    "cut bzip2": (bz2.compress(TEXT * 99)[:-9], "cannot be read.*truncated or damaged"),
    "cut zip": (zipped(t_csv=TEXT * 9)[:-9], "cannot be read.*truncated or damaged"),
    "cut Parquet": (PACKED["Parquet"][:-9], "cannot be read.*truncated or damaged"),
    "cut Arrow": (PACKED["Arrow"][:-30], "cannot be read.*truncated or damaged"),
    "cut Arrow stream": (PACKED["Arrow stream"][:60], "cannot be read.*truncated or damaged"),
    "cut JSON lines": (b'{"a": 1}\n{"a": 2, "b\n', "cannot be read"),
    "two in zip": (zipped(t_csv=TEXT, u_csv=TEXT), 'holds 2 files: "t.csv", "u.csv".*Unpack'),
    "none in zip": (zipped(), "empty zip archive"),
    "SQLite": (b"SQLite format 3\0" + bytes(100), "an SQLite database"),
    "PDF": (b"%PDF-1.7\n", "a PDF"),
    "pickle": (b"\x80\x04\x95abc", "pickle"),
    "program": (bytes(range(256)) * 40, "binary file of an unknown format"),
    "HTML": (b"<!DOCTYPE html>\n<html><table>", "HTML"),
    "XML": (b'<?xml version="1.0"?><a/>', "XML"),
    "JSON over lines": (b'{\n "a": 1\n}\n', "JSON over several lines.*jq"),
    "tar": (b"t.csv".ljust(257, b"\0") + b"ustar" + bytes(250), "tar archive"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_table_is_refused(tmp_path: Path, kind: str) -> None:
    content, message = REFUSED[kind]
    with pytest.raises(DataError, match=f"(?s){message}") as raised:
        opened(put(tmp_path, content))
    assert "\n" not in str(raised.value)
    assert str(tmp_path / "t.csv") in str(raised.value)


@pytest.mark.parametrize("place", range(3, 1000, 50))
def test_a_flipped_bit_of_a_compressed_file_is_noticed(tmp_path: Path, place: int) -> None:
    for packing in (gzip.compress, lzma.compress, bz2.compress):
        rows = b"".join(b"%d;%d\n" % (number, number * number % 997) for number in range(400))
        content = bytearray(packing(b"a;b\n" + rows))
        content[place % len(content)] ^= 4
        try:
            table, _ = opened(put(tmp_path, bytes(content)))
        except DataError:
            continue
        assert table.height == 400  # a bit of the gzip header that means nothing, such as its time


def test_a_sheet_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'no sheet "won".*Did you mean "one"'):
        opened(book(tmp_path / "t.xlsx", one=ROWS), sheet="won")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (['"x"', "1", "true", "null"], ["x", "1", "true", None]),
        (["1", "NaN", "2.5", "-Infinity"], [1.0, float("nan"), 2.5, float("-inf")]),
        (['{"p": 1}', "5", "null"], ['{"p": 1}', "5", None]),
        (["1", '"n/a"'], ["1", "n/a"]),
        (["100000000000000000000000000000000000000000", '"x"'], ["1" + 41 * "0", "x"]),
    ],
)
@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_json_may_mix_types_and_hold_what_python_writes(
    tmp_path: Path, cells: list[str], expected: list[object], lines: bool, encoding: str
) -> None:
    objects = [f'{{"a": {cell}}}' for cell in cells]
    text = "\n".join(objects) if lines else f"[{', '.join(objects)}]"
    table, _ = opened(put(tmp_path, text.encode(encoding), "t.json"))
    assert table["a"].equals(pl.Series("a", expected), null_equal=True)


def test_json_lines_may_mix_numbers_and_booleans(tmp_path: Path) -> None:
    table, _ = opened(put(tmp_path, '{"a": 1}\n{"a": true}\n{"a": null}\n', "t.json"))
    assert table["a"].to_list() == ["1", "true", None]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_pointer_of_git_lfs_is_called_one(tmp_path: Path, name: str) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    with pytest.raises(DataError, match="git lfs pull"):
        opened(put(tmp_path, pointer, name))


def test_json_keeps_the_empty_name(tmp_path: Path) -> None:
    table, _ = opened(put(tmp_path, '{"": 1, "a": NaN}\n{"": 2, "a": 1.5}\n', "t.json"))
    assert table.columns == ["", "a"]


def test_an_empty_first_object_is_a_row_of_gaps(tmp_path: Path) -> None:
    table, _ = opened(put(tmp_path, '{}\n{"a": 1}\n', "t.jsonl"))
    assert table["a"].to_list() == [None, 1]


@pytest.mark.parametrize("text", ["[1, 2]\n[3, 4]\n", "a,b\n1,2\n", "null"])
@pytest.mark.parametrize("name", ["t.jsonl", "t.JSON"])
def test_what_is_called_json_and_is_none_is_refused(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(DataError, match=r"no JSON objects, as its name says.*\.csv"):
        opened(put(tmp_path, text, name))


def test_an_archive_of_another_method_or_with_a_wrong_name_is_refused(tmp_path: Path) -> None:
    packed = bytearray(zipped(t_csv=TEXT * 50))
    entry = packed.find(b"PK\x01\x02")
    other, misnamed = bytearray(packed), bytearray(packed)
    other[8], other[entry + 10] = 9, 9  # Deflate64
    with pytest.raises(DataError, match=r"Deflate64.*Unpack it first"):
        opened(put(tmp_path, bytes(other), "t.zip"))
    misnamed[entry + 8 : entry + 10], misnamed[entry + 46] = b"\0\x08", 0xFF  # said to be UTF-8
    with pytest.raises(DataError, match="cannot be read: a name in the archive"):
        opened(put(tmp_path, bytes(misnamed), "t.zip"))
