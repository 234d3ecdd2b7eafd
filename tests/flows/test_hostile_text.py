"""Names and cells of strangers are shown as text by every page and command, and run by none."""

from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile_table import CLASSES, ESCAPES, FORMULA, HIT, MARKUP, NAMES, SCRIPT, TURNED

pytestmark = pytest.mark.slow


class Reader(HTMLParser):
    """What of a page a browser would run, as far as it holds our text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.runs: list[str] = []
        self.tag = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tag = tag
        self.runs += [
            f"{tag} {name}={value}" for name, value in attrs if name.startswith("on") and HIT in (value or "")
        ]
        self.runs += [
            f"{tag} {name}"
            for name, value in attrs
            if name in ("src", "href") and (value in ("x", "y") or HIT in (value or ""))
        ]

    def handle_data(self, data: str) -> None:
        if self.tag == "script" and HIT in data:
            self.runs.append(data)


def test_every_command_takes_the_table(hostile_home) -> None:
    for name, done in hostile_home.said.items():
        assert done.code == 0, (name, done.err[-3000:])


def test_pages_hold_it_as_text(hostile_home) -> None:
    shown = 0
    assert len(hostile_home.pages) > 5
    for path in hostile_home.pages:
        page = path.read_text()
        assert Reader(page).runs == [], path
        assert not [char for char in ("\x1b", "\x9b", "\u202e", "\u2066") if char in page], path
        shown += "onerror=" in page
    assert shown > 3


def test_the_terminal_obeys_nothing(hostile_home) -> None:
    for name, done in hostile_home.said.items():
        said = done.out + done.err
        assert not [char for char in said if not char.isprintable() and char != "\n"], name
        assert "\u202e" not in said
    assert ":smile:" in hostile_home.said["init"].err
    assert r"\x1b[31m" in hostile_home.said["init"].err


def test_a_spreadsheet_runs_no_cell(hostile_home) -> None:
    tables = sorted(hostile_home.home.rglob("*.csv"))
    assert {"scores.csv", "filled.csv"} <= {table.name for table in tables}
    for path in tables:
        frame = pl.read_csv(path, infer_schema=False)
        cells = [cell for column in frame.get_columns() for cell in column if cell] + frame.columns
        assert not [cell for cell in cells if cell[0] in "=+-@\t\r" and not _is_number(cell)], path


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell in "=+-@"
    return True


def test_the_csv_is_read_back_equal(hostile_home) -> None:
    from varjepa.config import DataSection
    from varjepa.data.read.sources import open_path

    filled = open_path(str(hostile_home.home / "filled.csv"), DataSection(name="sim")).frame.collect()
    new = pl.read_parquet(hostile_home.home / "new.parquet")
    assert filled.columns[: len(new.columns)] == new.columns
    for name in (NAMES["script"], NAMES["turned"], NAMES["plus"]):
        assert filled[name].to_list() == new[name].to_list()


def test_markdown_holds_it_as_text(hostile_home) -> None:
    cards = [path.read_text() for path in hostile_home.home.rglob("model_card.md")]
    assert cards
    for card in cards:
        assert not [text for text in (MARKUP, SCRIPT, "<img", "<b ", "](javascript", TURNED, ESCAPES) if text in card]


@given(st.lists(st.text(st.sampled_from("'=+-@\t\r1.,ea \uff1d"), max_size=5), min_size=1, max_size=20))
def test_marks_of_formulas_are_taken_off_again(cells: list[str]) -> None:
    from varjepa.data.files.formulas import as_spreadsheet_text, for_spreadsheets, unmarked, without_mark

    frame = pl.DataFrame({FORMULA: cells})
    marked = for_spreadsheets(frame)
    assert marked.columns == [f"'{FORMULA}"]
    assert marked.to_series().to_list() == [as_spreadsheet_text(cell) for cell in cells]
    written = [cell for cell in cells if not cell.startswith("'") or as_spreadsheet_text(cell) != cell]
    assert [without_mark(as_spreadsheet_text(cell)) for cell in written] == written
    back = unmarked(marked.lazy(), marked.columns).collect().to_series().to_list()
    assert back == [without_mark(as_spreadsheet_text(cell)) for cell in cells]


def test_classes_are_counted_under_their_names(hostile_home) -> None:
    scores = pl.read_csv(hostile_home.home / "scores.csv", infer_schema=False)
    assert set(scores["prediction"]) <= {CLASSES[0], f"'{CLASSES[1]}"}
    assert Path(hostile_home.home / "drift.html").is_file()
