"""Rows of a request become the same frame by either way."""

from typing import Any

import orjson
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

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
    assert_frame_equal(rows_of(orjson.dumps({"rows": rows}), "json"), expected)


def test_a_column_without_cells_is_text() -> None:
    assert rows_of(b'{"rows": [{"a": null, "b": 1}]}', "json").schema == {"a": pl.String, "b": pl.Int64}
