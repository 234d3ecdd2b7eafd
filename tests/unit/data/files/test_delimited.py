"""Text files as people have them: what is read, what is said of it, and what is refused."""

import gc
import re
from pathlib import Path

import polars as pl
import pytest

from tests.unit.data.files.opening import Columns, opened, put
from varjepa.config import DataSection
from varjepa.data.files.opened import open_files
from varjepa.errors import DataError

PAIR: Columns = {"a": [1, 2, 3], "b": ["x", "y", "z"]}
NUMBERS: Columns = {"a": [0.5, 1.5, 2.5], "b": [0, 1, 2]}
SWEDISH: Columns = {"ort": ["Åmål", "Örebro", "Växjö"], "n": [1, 2, 3]}

KINDS = {
    "plain": ("a,b\n1,x\n2,y\n3,z\n", PAIR, ""),
    "no last line end": ("a,b\n1,x\n2,y\n3,z", PAIR, ""),
    "windows line ends": ("a,b\r\n1,x\r\n2,y\r\n3,z\r\n", PAIR, ""),
    "old Mac line ends": ("a,b\r1,x\r2,y\r3,z\r", PAIR, ""),
    "mixed line ends": ("a,b\r\n1,x\n2,y\r3,z\n", PAIR, ""),
    "tabs": ("a\tb\n1\tx\n2\ty\n3\tz\n", PAIR, ""),
    "semicolons": ("a;b\n1;x\n2;y\n3;z\n", PAIR, ""),
    "bars": ("a|b\n1|x\n2|y\n3|z\n", PAIR, ""),
    "blanks": ("a   b\n1   x\n 2  y\n3 \t z  \n", PAIR, "blanks separate"),
    "blanks and quotes": ('a b\n1 "x y"\n2 "z"\n', {"a": [1, 2], "b": ["x y", "z"]}, "blanks separate"),
    "sep line": ("sep=;\na;b\n1;x\n2;y\n3;z\n", PAIR, "sep="),
    "sep line in quotes": ('"sep=|"\r\na|b\r\n1|x\r\n2|y\r\n3|z\r\n', PAIR, "sep="),
    "mark": ("\ufeffa,b\n1,x\n2,y\n3,z\n", PAIR, ""),
    "mark and quotes": ('\ufeff"a","b"\n1,"x"\n2,"y"\n3,"z"\n', PAIR, ""),
    "separators in quotes": ('a,b\n1,"x,;"\n2,y\n', {"a": [1, 2], "b": ["x,;", "y"]}, ""),
    "doubled quotes": ('a,b\n1,"say ""x"""\n2,""""\n', {"a": [1, 2], "b": ['say "x"', '"']}, ""),
    "escaped quotes": ('a,b\n1,"say \\"x\\", ok"\n2,y\n', {"a": [1, 2], "b": ['say "x", ok', "y"]}, "backslash"),
    "escaped separators": ("a,b\n1,x\\,y\n2,z\n", {"a": [1, 2], "b": ["x,y", "z"]}, "backslash"),
    "apostrophes as quotes": ("a,b\n1,'x,y'\n2,'z'\n", {"a": [1, 2], "b": ["x,y", "z"]}, "apostrophes"),
    "apostrophes as letters": ("a,b\n1,it's\n2,'n so\n", {"a": [1, 2], "b": ["it's", "'n so"]}, ""),
    "apostrophes inside cells only": ("a,b\n1,it's\n2,O'Hara\n", {"a": [1, 2], "b": ["it's", "O'Hara"]}, ""),
    "a quote that opens nothing": ("a,b\n1,x\n2,\"y\n3,z\n", {"a": [1, 2, 3], "b": ["x", '"y', "z"]}, "Quotes are"),
    "inches": ('a,b\n1,5" pipe\n2,x\n3,"y"\n', {"a": [1, 2, 3], "b": ['5" pipe', "x", "y"]}, ""),
    "lines in cells": ('a,b\n1,"x\ny"\n2,"z\n\n,"\n', {"a": [1, 2], "b": ["x\ny", "z\n\n,"]}, ""),
    "lines in names": ('"a\n(mm)";b\n1;x\n2;y\n', {"a\n(mm)": [1, 2], "b": ["x", "y"]}, ""),
    "quoted numbers": ('"a","b"\n"1","x"\n"2","y"\n"3","z"\n', PAIR, ""),
    "blanks in the header": ("a, b\n1,x\n2,y\n3,z\n", PAIR, ""),
    "blanks after separators": ("a, b\n1, x\n2, y\n3, z\n", PAIR, ""),
    "quotes after blanks": ('a, b\n1, "x, y"\n2, "z"\n', {"a": [1, 2], "b": ["x, y", "z"]}, ""),
    "blanks in cells": ("a,b\n1, x\n2,y \n3,z\n", {"a": [1, 2, 3], "b": [" x", "y ", "z"]}, ""),
    "a title": ("Report of May\n\na,b\n1,x\n2,y\n3,z\n", PAIR, "2 lines before the header"),
    "titles": ("Report\nby Ann\nKiel\na;b\n1;x\n2;y\n3;z\n", PAIR, "3 lines before the header"),
    "comments": ("# by Ann, for Bob\n#\na,b\n1,x\n# late, and long\n2,y\n3,z\n", PAIR, "3 comment lines"),
    "comments in the rows only": ("a,b\n1,x\n# so far\n2,y\n3,z\n", PAIR, "1 comment line "),
    "a header that is a comment": ("# made by x\n#a\tb\n1\tx\n2\ty\n3\tz\n", PAIR, ""),
    "a name that is #": ("#,b\n1,x\n2,y\n", {"#": [1, 2], "b": ["x", "y"]}, ""),
    "colours": ("b,a\n#ff0000,1\n#00ff00,2\n", {"b": ["#ff0000", "#00ff00"], "a": [1, 2]}, ""),
    "units": ("a,b,c\nmm,,s\n1,x,2.5\n2,y,3\n", {"a": [1, 2], "b": ["x", "y"], "c": [2.5, 3.0]}, "units.*mm, s"),
    "units in brackets": ("a;b\n(mm);[kg]\n1;2.5\n2;3\n", {"a": [1, 2], "b": [2.5, 3.0]}, "units"),
    "text like units": ("a,b\nm,x\ns,y\n", {"a": ["m", "s"], "b": ["x", "y"]}, ""),
    "separators end rows": ("a,b\n0.5,0,\n1.5,1,\n2.5,2,\n", NUMBERS, "3 rows with separators"),
    "separators end all": ("a;b;\n0.5;0;\n1.5;1;\n2.5;2;\n", NUMBERS, ""),
    "many separators end all": ("a,b,,,\n0.5,0,,,\n1.5,1,,,\n2.5,2,,,\n", NUMBERS, "3 rows with sep"),
    "some rows end in separators": ("a,b\n0.5,0\n1.5,1,,\n2.5,2\n", NUMBERS, "1 row with separators"),
    "an unnamed last column": ("a,\n1,x\n2,y\n", {"a": [1, 2], "": ["x", "y"]}, ""),
    "an unnamed first column": (",a\n0,x\n1,y\n", {"": [0, 1], "a": ["x", "y"]}, ""),
    "names of rows": ("a,b\nr1,1,x\nr2,2,y\nr3,3,z\n", {"": ["r1", "r2", "r3"]} | PAIR, "names of rows"),
    "as R writes": ('"a" "b"\n"1" 1 "x"\n"2" 2 "y y"\n', {"": [1, 2], "a": [1, 2], "b": ["x", "y y"]}, "names of rows"),
    "short rows": ("a,b\n1,x\n2\n3,z\n", {"a": [1, 2, 3], "b": ["x", None, "z"]}, "1 row with missing cells.*line 3"),
    "blank lines": ("a,b\n\n1,x\n\n2,y\n3,z\n\n\n", PAIR, "4 blank lines skipped"),
    "blank windows lines": ("a,b\r\n1,x\r\n\r\n2,y\r\n3,z\r\n", PAIR, "1 blank line skipped"),
    "lines of blanks": ("a,b\n1,x\n  \n2,y\n3,z\n", PAIR, "1 blank line skipped"),
    "blank lines of one column": ("a\n1\n\n2\n\n", {"a": [1, None, 2]}, "1 blank line read as missing"),
    "rows of nothing": ("a,b\n1,x\n,\n3,z\n", {"a": [1, None, 3], "b": ["x", None, "z"]}, ""),
    "NUL": ("a,b\n1,x\0\n2,y\n3,\0z\n", PAIR, "2 NUL characters"),
    "one column": ("a\nx\ny\n", {"a": ["x", "y"]}, ""),
    "one column of sentences": ("a\nSo it is, he said\nYes, yes\n", {"a": ["So it is, he said", "Yes, yes"]}, ""),
    "decimal commas": ("a;b\n0,5;1,25\n1,5;2,25\n", {"a": ["0,5", "1,5"], "b": ["1,25", "2,25"]}, ""),
    "decimal commas in quotes": ('a,b\n"0,5","1"\n"1,5","2"\n', {"a": ["0,5", "1,5"], "b": [1, 2]}, ""),
    "commas in text": ("a;b\n1;x, y, z\n2;u, v\n", {"a": [1, 2], "b": ["x, y, z", "u, v"]}, ""),
    "names that patterns match": ("*,^a.*$,a\n1,2,3\n4,5,6\n", {"*": [1, 4], "^a.*$": [2, 5], "a": [3, 6]}, ""),
    "a name in brackets": ("[k],b\n1,x\n2,y\n", {"[k]": [1, 2], "b": ["x", "y"]}, ""),
    "years as names": ("2019,2020,2021\n1,2,3\n4,5,6\n", {"2019": [1, 4], "2020": [2, 5], "2021": [3, 6]}, ""),
    "wide decimals as names": ("0.5,1.5,2.5\n1,2,3\n4,5,6\n", {"0.5": [1, 4], "1.5": [2, 5], "2.5": [3, 6]}, ""),
    "carets": ("a^b\n1^x\n2^y\n", {"a": [1, 2], "b": ["x", "y"]}, ""),
    "tildes": ("a~b\n1~x\n2~y\n", {"a": [1, 2], "b": ["x", "y"]}, ""),
    "tildes in cells": ("near\n~1 km\n~2 km\n~3 km\n", {"near": ["~1 km", "~2 km", "~3 km"]}, ""),
    "header alone": ("a,b\n", {"a": [], "b": []}, ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_text(tmp_path: Path, kind: str) -> None:
    content, expected, note = KINDS[kind]
    table, notes = opened(put(tmp_path, content))
    assert table.to_dict(as_series=False) == expected
    assert re.search(note, notes, re.DOTALL)
    assert bool(notes) == bool(note), notes


def test_a_late_name_that_begins_with_an_apostrophe_swallows_no_rows(tmp_path: Path) -> None:
    late = ["400,'s-Hertogenbosch", "401,x", "402,den Bosch'"]
    content = "\n".join(["a,b", *(f"{row},O'Brien" for row in range(400)), *late, "403,y", ""])
    table, notes = opened(put(tmp_path, content))
    assert table["a"].to_list() == list(range(404))
    assert table["b"][400:].to_list() == ["'s-Hertogenbosch", "x", "den Bosch'", "y"]
    assert notes == ""


@pytest.mark.parametrize("name", ["t.tsv", "t.txt", "t.data", "t", "t.CSV", "t.xls", "t.csv.gz"])
def test_names_of_text_files_do_not_matter(tmp_path: Path, name: str) -> None:
    assert opened(put(tmp_path, "a;b\n1;x\n2;y\n3;z\n", name))[0].to_dict(as_series=False) == PAIR


REFUSED = {
    "long rows": ("a,b\n1,2\n3,4,5\n6,7\n8,,9\n", {}, "2 rows with more fields than the header has names: lines 3, 5"),
    "a long row after lines in cells": ('a,b\n1,"x\ny"\n3,4,5\n6,7\n', {}, "1 row with more fields.*: line 4"),
    "an open quote": ('a,b\n1,"x"\n2,"y"\n3,"z\n', {}, "a quote in line 4 is never closed"),
    "values for names": ("5.1,3.5,x\n4.9,3.0,x\n4.7,3.2,y\n", {}, "seems to have no header.*5.1.*data.header"),
    "words for names": ("39,clerk,no\n50,cook,no\n38,clerk,yes\n", {}, "seems to have no header"),
    "twice the same name": ("a, b,b\n1,2,3\n", {}, 'duplicate column names: "b"'),
    "no name": (",,\n1,2,3\n", {}, "has no column names"),
    "wrong encoding": ("a,b\n1,xé\n", {"encoding": "ascii"}, "is not ascii text"),
    "unknown encoding": ("a,b\n1,x\n", {"encoding": "utf-88"}, 'data.encoding is "utf-88", which is unknown'),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_a_table_is_refused(tmp_path: Path, kind: str) -> None:
    content, settings, message = REFUSED[kind]
    with pytest.raises(DataError, match=f"(?s){message}") as raised:
        opened(put(tmp_path, content), **settings)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "settings", "expected"),
    [
        ("5.1,3.5\n4.9,3.0\n", {"header": False}, {"column_1": [5.1, 4.9], "column_2": [3.5, 3.0]}),
        ("5.1,3.5\n4.9,3.0\n", {"header": True}, {"5.1": [4.9], "3.5": [3.0]}),
        ("x,y,z\n1,2,3\n4,5,6\n", {"skip_lines": 1, "header": True}, {"1": [4], "2": [5], "3": [6]}),
        ("a,b\n% so,far\n1,2\n", {"comment": "%"}, {"a": [1], "b": [2]}),
        ("a,b;c\n1,2;3\n", {"separator": ";"}, {"a,b": ["1,2"], "c": [3]}),
        ("a:b\n1:2\n", {"separator": ":"}, {"a": [1], "b": [2]}),
        ('a,b\n"1,2"\n', {"quote": ""}, {"a": ['"1'], "b": ['2"']}),
        ("a,b\n~1,2~,3\n", {"quote": "~"}, {"a": ["1,2"], "b": [3]}),
        ("a,b\n1,мир\n".encode("cp866"), {"encoding": "cp866"}, {"a": [1], "b": ["мир"]}),
    ],
)  # fmt: skip
def test_settings_overrule_the_guess(
    tmp_path: Path, content: bytes | str, settings: dict[str, object], expected: Columns
) -> None:
    assert opened(put(tmp_path, content), **settings)[0].to_dict(as_series=False) == expected


ENCODINGS = {
    "utf-8": (SWEDISH, ""), "utf-8-sig": (SWEDISH, ""), "utf-16": (SWEDISH, "UTF-16"), "utf-16-le": (SWEDISH, "UTF-16"),
    "utf-16-be": (SWEDISH, "UTF-16"), "utf-32": (SWEDISH, "UTF-32"), "cp1252": (SWEDISH, "Windows-1252"),
    "latin-1": (SWEDISH, "Windows-1252"),
}  # fmt: skip


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("rows", [1, 20_000])
def test_encodings_are_found_and_said(tmp_path: Path, encoding: str, rows: int) -> None:
    table, note = ENCODINGS[encoding]
    content = pl.DataFrame({"ort": ["plain"] * rows, "n": [0] * rows}).vstack(pl.DataFrame(table)).write_csv()
    found, notes = opened(put(tmp_path, content.encode(encoding)))
    assert found[rows:].to_dict(as_series=False) == table
    assert note in notes
    assert bool(notes) == bool(note)


TEXTS = {
    "cp1251": "Москва столица России",
    "shift_jis": "東京は日本の首都です",
    "gb18030": "北京是中国的首都",
    "koi8_r": "Москва столица России",
    "euc_kr": "서울은 대한민국의 수도이다",
    "cp1255": "ירושלים היא עיר הבירה",
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_other_encodings_are_left_to_the_detector(tmp_path: Path, encoding: str) -> None:
    content = "a,b\n" + f"{TEXTS[encoding]},1\n" * 20
    found, notes = opened(put(tmp_path, content.encode(encoding)))
    assert "data.encoding sets another" in notes
    assert set(found["a"]) == {TEXTS[encoding]}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_stray_byte_in_utf_8(tmp_path: Path, mark: bytes) -> None:
    content = "a,b\n" + "Zürich,1\n" * 40
    found, notes = opened(put(tmp_path, mark + content.encode() + b"Caf\xe9,2\n"))
    assert found["a"].to_list() == ["Zürich"] * 40 + ["Café"]
    assert "1 byte is not UTF-8" in notes


LATE = {
    "a blank line": "\n", "a short row": "7\n", "a comment": "# so far\n", "a separator more": "7,x,\n",
    "a stray quote": '7,5" pipe\n', "an escaped quote": '7,"say \\"x\\", ok"\n', "NUL": "7,\0x\n",
    "a lone carriage return": "7,x\r8,y\n",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", LATE)
def test_what_is_odd_after_a_million_bytes_is_noticed(tmp_path: Path, kind: str) -> None:
    rows = 200_000
    table, notes = opened(put(tmp_path, "a,b\n" + "7,x\n" * rows + LATE[kind] + "7,x\n"))
    expected = {
        "a blank line": [], "a short row": [(7, None)], "a comment": [], "a stray quote": [(7, '5" pipe')],
        "an escaped quote": [(7, 'say "x", ok')], "a lone carriage return": [(7, "x"), (8, "y")],
    }.get(kind, [(7, "x")])  # fmt: skip
    assert table[rows:].rows() == [*expected, (7, "x")]
    assert kind in ("a stray quote", "a lone carriage return") or notes


def test_thousands_of_columns(tmp_path: Path) -> None:
    names = [f"a column with a long name, number {number}" for number in range(3000)]
    lines = [";".join(names), *(";".join(str(row) for _ in names) for row in range(3))]
    table, _ = opened(put(tmp_path, "\n".join(lines)))
    assert table.shape == (3, 3000)
    assert table.columns == names


def test_a_cell_may_be_longer_than_the_sample(tmp_path: Path) -> None:
    """Its line ends were read as rows without a word."""
    letter = "Dear Sir,\n" * 60_000
    rows = [f'{row},"{letter if row == 1 else "short"}",x\n' for row in range(60)]
    frame, _ = opened(put(tmp_path, "n,letter,c\n" + "".join(rows)))
    assert frame.height == 60
    assert frame["letter"][1] == letter
    assert frame["n"].to_list() == list(range(60))


def test_a_late_quote_that_is_never_closed_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a quote in line 200,002 is never closed"):
        opened(put(tmp_path, "a,b\n" + "7,x\n" * 200_000 + '7,"x\n' + "7,x\n"))


@pytest.mark.slow
def test_copies_are_deleted_with_the_last_frame_that_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    frame = open_files(str(put(tmp_path, "a;b\n\n1;x\n")), DataSection(path="t"), ()).frame.select("a")
    gc.collect()
    assert frame.collect().to_dict(as_series=False) == {"a": [1]}
    assert list((tmp_path / "tmp").rglob("*t.csv.csv"))
    del frame
    gc.collect()
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x\n1450,3\n27,5\n3,25\n", {"x": ["1450,3", "27,5", "3,25"]}),
        ('"x"\n"59,red"\n"61,blue"\n', {"x": ["59,red", "61,blue"]}),
        ("a,b\n\t1,x\n\t2,y\n\t3,z\n", {"a": ["\t1", "\t2", "\t3"], "b": ["x", "y", "z"]}),
        ("Report,,\nDate,2020,\n,,\na,b,c\n1,x,2.5\n2,y,3.5\n", {"a": [1, 2], "b": ["x", "y"], "c": [2.5, 3.5]}),
        ("Report;;;\na;b;c;d\n1;x;2;y\n2;y;3;z\n", {"a": [1, 2], "b": ["x", "y"], "c": [2, 3], "d": ["y", "z"]}),
    ],
)
def test_no_header_is_lost(tmp_path: Path, text: str, expected: Columns) -> None:
    table, _ = opened(put(tmp_path, text))
    assert table.to_dict(as_series=False) == expected


@pytest.mark.parametrize(
    "cell", ["2024-01-{}", "10.0.0.{}", "${}.50", "INV-{}", "{}:30", "1:{}.25", "{} kg", "{}.234,5"]
)
def test_a_first_line_that_is_written_as_the_others_stops_the_run(tmp_path: Path, cell: str) -> None:
    rows = [f"{cell.format(number)}\t{word}\n" for number, word in zip(range(10, 18), "abcdefgh", strict=True)]
    with pytest.raises(DataError, match="seems to have no header"):
        opened(put(tmp_path, "".join(rows)))
    table, _ = opened(put(tmp_path, "q1\tword\n" + "".join(rows)))
    assert table.height == len(rows)


def test_a_name_that_is_a_value_is_said(tmp_path: Path) -> None:
    rows = "ham\tSee you there\nspam\tWin a prize\nham\tOn my way\n"
    table, notes = opened(put(tmp_path, rows))
    assert table.height == 2
    assert '"ham" is the name of a column and a value in it' in notes
    assert not opened(put(tmp_path, rows), header=True)[1]
    assert opened(put(tmp_path, rows), header=False)[0].height == 3


def test_a_first_line_of_values_stops_the_run_though_its_numbers_grow(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="seems to have no header"):
        opened(put(tmp_path, "59,red,1450.3\n61,blue,1460.5\n48,red,1300.1\n33,blue,1200.5\n"))
    names = "sample,400.5,401.5\nred,1,2\nblue,3,4\n"
    assert opened(put(tmp_path, names))[0].columns == ["sample", "400.5", "401.5"]


@pytest.mark.parametrize("encoding", ["base64", "hex", "rot13", "uu", "quopri", "zlib", "no-such"])
def test_what_is_no_encoding_of_text_is_unknown(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(DataError, match=f'data.encoding is "{encoding}", which is unknown'):
        opened(put(tmp_path, "a,b\n1,2\n"), encoding=encoding)


@pytest.mark.parametrize("separator", ["€", "é", "🦄"])
def test_separators_beyond_ascii_separate_or_leave_one_column(tmp_path: Path, separator: str) -> None:
    table, _ = opened(put(tmp_path, f"a{separator}b\n1{separator}2\n"), separator=separator)
    assert table.rows() == [(1, 2)]
    table, _ = opened(put(tmp_path, "a,b\nx,y\n"), separator=separator)
    assert table.rows() == [("x,y",)]


def test_a_character_at_the_end_of_a_block_within_a_long_line_is_not_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("varjepa.data.files.encoding._CHUNK", 64)  # lines longer than a block, without MiB of them
    for place in range(55, 66):
        for character in "é€🦄":
            cell = "x" * place + character + "y" * 200
            table, notes = opened(put(tmp_path, f'a,b\n1,"{cell}"\n2,z\n'))
            assert table["b"].to_list() == [cell, "z"]
            assert not notes
