"""Rows of a request become the same frame by either way."""

from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from varjepa.config import DataSection
from varjepa.errors import DataError
from varjepa.tasks.serving.bodies import frame_of, rows_of

WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(2**63, 2**64 - 1)
CELLS: list[st.SearchStrategy[Any]] = [
    WHOLE, st.floats(allow_nan=False, allow_infinity=False), st.text(st.characters(exclude_categories=["Cs"])),
    st.booleans(), st.none(), WHOLE | st.floats(allow_nan=False, allow_infinity=False) | st.text("0a") | st.none(),
]  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(st.sampled_from(["a", "b.c", "^x.*$", "", "ä"]), min_size=1, max_size=4, unique=True))
    columns = {name: draw(st.sampled_from(CELLS)) for name in names}
    rows = [{name: draw(cells) for name, cells in columns.items()} for _ in range(draw(st.integers(1, 4)))]
    if draw(st.booleans()):  # a row may lack a cell
        rows[-1].pop(draw(st.sampled_from(names)))
    return rows


@given(tables())
def test_rows_give_the_frame_of_their_columns(rows: list[dict[str, Any]]) -> None:
    content = orjson.loads(orjson.dumps({"rows": rows}))["rows"]
    names = list(dict.fromkeys(name for row in content for name in row))
    expected = frame_of({name: [row.get(name) for row in content] for name in names})
    assert_frame_equal(rows_of(orjson.dumps({"rows": rows}), "json", DataSection(path="a.csv")), expected)


def test_a_column_without_cells_is_text() -> None:
    assert rows_of(b'{"rows": [{"a": null, "b": 1}]}', "json", DataSection(path="a.csv")).schema == {
        "a": pl.String,
        "b": pl.Int64,
    }


def test_csv_has_the_gaps_and_names_of_the_table_of_training() -> None:
    """As `varjepa score` reads the same text from a file."""
    data = DataSection.model_validate({
        "path": "a.csv", "rename": {"old": "new"}, "na_values": ["", "?", "None"],
        "columns": {"veneer": {"not_gaps": ["None"]}},
    })  # fmt: skip
    body = b'old,veneer,^x.*$,x1\n?,None,?,NA\nNone,?,"",1\n'
    assert rows_of(body, "csv", data).to_dict(as_series=False) == {
        "new": [None, None], "veneer": ["None", None], "^x.*$": [None, None], "x1": ["NA", "1"],
    }  # fmt: skip
    with pytest.raises(DataError, match="not valid csv"):
        rows_of(b"old,new\n1,2\n", "csv", data)
    assert rows_of(b'{"rows": [{"old": "?", "x1": 1}]}', "json", data).to_dicts() == [{"new": "?", "x1": 1}]
