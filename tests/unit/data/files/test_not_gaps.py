"""A gap word that is a value in one column (`data.columns.NAME.not_gaps`)."""

from pathlib import Path

import polars as pl
import pytest

from tests.unit.data.files.opening import put
from varjepa.config import DataSection
from varjepa.data.read.sources import open_path

TEXT = "veneer,area,garage\nBrick,1.5,None\nNone,None,Attached\nStone,2,NA\nNA,3,None\n,4,Built\n"
READ = {"area": [1.5, None, 2.0, 3.0, 4.0], "veneer": ["Brick", "None", "Stone", None, None]}
GAPS = [None, "Attached", None, None, "Built"]


def table(path: Path, columns: dict[str, object], text: list[str] | None = None, **others: object) -> pl.DataFrame:
    data = DataSection(path=str(path), columns=columns, **others)
    return open_path(str(path), data, text).frame.collect()


@pytest.mark.parametrize("learned", [None, ["veneer", "garage"]], ids=["a new table", "a finished model"])
def test_the_word_is_a_value_there_and_a_gap_elsewhere(learned: list[str] | None, tmp_path: Path) -> None:
    path = put(tmp_path, TEXT)
    assert table(path, {}, learned)["veneer"].to_list() == ["Brick", None, "Stone", None, None]
    frame = table(path, {"veneer": {"not_gaps": ["None"]}}, learned)
    assert frame.columns == ["veneer", "area", "garage"]
    # A finished model reads the text of its numbers itself.
    area = READ["area"] if learned is None else ["1.5", None, "2", "3", "4"]
    assert frame.to_dict(as_series=False) == {**READ, "area": area, "garage": GAPS}


def test_columns_with_words_of_their_own_names_and_files(tmp_path: Path) -> None:
    for number in range(2):
        put(tmp_path, TEXT, f"t/{number}.csv")
    columns = {"masonry": {"not_gaps": ["None"]}, "garage": {"not_gaps": ["NA", "None"]}}
    frame = table(tmp_path / "t", columns, rename={"veneer": "masonry"})  # names are those after renaming
    garage = ["None", "Attached", "NA", "None", "Built"]
    assert frame.to_dict(as_series=False) == {**{name: 2 * cells for name, cells in READ.items()}, "garage": 2 * garage}


def test_words_that_are_no_gap_words_change_nothing(tmp_path: Path) -> None:
    path = put(tmp_path, "a,b\nsome,none\nnone,x\n")
    assert table(path, {"a": {"not_gaps": ["none"]}}).rows() == [("some", "none"), ("none", "x")]


def test_a_number_beside_the_word_is_a_word(tmp_path: Path) -> None:
    path = put(tmp_path, "floors,b\n1,x\nNone,y\n3,z\n")
    assert table(path, {})["floors"].to_list() == [1, None, 3]
    assert table(path, {"floors": {"not_gaps": ["None"]}})["floors"].to_list() == ["1", "None", "3"]


def test_larger_tables_keep_their_rows_together(tmp_path: Path) -> None:
    rows = [(f"{k % 7}", "None" if k % 3 else "Brick", f"{k}") for k in range(30_000)]
    path = put(tmp_path, "a,b,c\n" + "".join(f"{','.join(row)}\n" for row in rows))
    frame = open_path(str(path), DataSection(path=str(path), columns={"b": {"not_gaps": ["None"]}})).frame
    batches = pl.concat(frame.collect_batches(chunk_size=1000, maintain_order=True))
    assert batches.rows() == [(int(a), b, int(c)) for a, b, c in rows]
    assert frame.select("b").head(2).collect()["b"].to_list() == ["Brick", "None"]
