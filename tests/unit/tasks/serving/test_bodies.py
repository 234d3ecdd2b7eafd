"""Rows of a request become the same frame by either way."""

import gzip
import io
from contextlib import suppress
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from varjepa.config import DataSection
from varjepa.errors import DataError
from varjepa.tasks.serving.arrow import unpacked_size
from varjepa.tasks.serving.bodies import FORMAT, frame_of, rows_of

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
    if not names:  # the only row has lost its only cell
        return
    expected = frame_of({name: [row.get(name) for row in content] for name in names})
    assert_frame_equal(rows_of(orjson.dumps({"rows": rows}), "json", DataSection(path="a.csv"), ()), expected)


RECORDS = {
    "rows": b'{"rows": [{"a": 1, "tags": ["x"]}, {"a": 2, "tags": null, "who": {"id": 7}}]}',
    "a matrix": b'{"columns": ["a", "tags"], "data": [[1, ["x"]], [2, {}]]}',
    "arrow": None,
}


@pytest.mark.parametrize("form", RECORDS)
def test_lists_and_objects_matter_only_in_columns_that_are_read(form: str) -> None:
    """Clients send whole records, of which a model reads some columns."""
    data = DataSection.model_validate({"path": "a.csv", "rename": {"tags": "words"}})
    body = RECORDS[form] or _stream(pl.DataFrame({"a": [1, 2], "tags": [["x"], None]}))
    kind: FORMAT = "arrow" if form == "arrow" else "json"
    assert rows_of(body, kind, data, ["a"]).to_dict(as_series=False) == {"a": [1, 2]}
    with pytest.raises(DataError, match="Expected one number or text per cell"):
        rows_of(body, kind, data, ["a", "words"])


def test_rows_of_nothing_but_lists_have_no_columns() -> None:
    with pytest.raises(DataError, match="The rows have no columns"):
        rows_of(b'{"rows": [{"tags": [1]}]}', "json", DataSection(path="a.csv"), ["a"])


def test_a_column_without_cells_is_text() -> None:
    assert rows_of(b'{"rows": [{"a": null, "b": 1}]}', "json", DataSection(path="a.csv"), ()).schema == {
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
    assert rows_of(body, "csv", data, ()).to_dict(as_series=False) == {
        "new": [None, None], "veneer": ["None", None], "^x.*$": [None, None], "x1": ["NA", "1"],
    }  # fmt: skip
    with pytest.raises(DataError, match="not valid csv"):
        rows_of(b"old,new\n1,2\n", "csv", data, ())
    assert rows_of(b'{"rows": [{"old": "?", "x1": 1}]}', "json", data, ()).to_dicts() == [{"new": "?", "x1": 1}]


def _stream(frame: pl.DataFrame, **options: Any) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer, **options)
    return buffer.getvalue()


def test_what_grows_beyond_measure_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them has some kilobytes, and would become gigabytes if it were a thousand times as long."""
    monkeypatch.setattr("varjepa.tasks.serving.arrow.MOST", 2**20)  # the real limit would take the memory it guards
    data = DataSection(path="a.csv")
    with pytest.raises(DataError, match="not valid csv"):
        rows_of(gzip.compress(b"a\n" + b"1\n" * 100_000), "csv", data, ())
    zeros = _stream(pl.DataFrame({"a": pl.zeros(200_000, eager=True)}), compression="zstd")
    assert len(zeros) < 10_000
    with pytest.raises(DataError, match=r"when it is unpacked, has 1,6\d\d,\d\d\d bytes"):
        rows_of(zeros, "arrow", data, ())
    shared = pl.DataFrame({"a": ["x" * 20_000]}).select(pl.col("a").gather([0] * 100))
    with pytest.raises(DataError, match=r'"a" has 2,000,000 bytes'):
        rows_of(_stream(shared), "arrow", data, ())
    nothing = pa.RecordBatch.from_arrays([pa.nulls(2**21)], ["a"])  # cells that take no room at all
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, nothing.schema) as stream:
        stream.write_batch(nothing)
    with pytest.raises(DataError, match="The body has 2,097,152 rows"):
        rows_of(sink.getvalue().to_pybytes(), "arrow", data, ())
    sparse = [{f"c{number}": 1} for number in range(4_000)]
    with pytest.raises(DataError, match="4,000 rows have 4,000 columns"):
        rows_of(orjson.dumps({"rows": sparse}), "json", data, ())


def test_size_of_a_stream_that_is_unpacked_is_that_of_its_buffers() -> None:
    frame = pl.DataFrame({"a": [1.5, None] * 500, "b": ["x", "yy"] * 500, "c": [True] * 1000})
    for compression in ("uncompressed", "lz4", "zstd"):
        stream = _stream(frame, compression=compression, compat_level=pl.CompatLevel.oldest())
        assert 8_000 + 1_500 <= unpacked_size(stream) < 30_000
        assert_frame_equal(rows_of(stream, "arrow", DataSection(path="a.csv"), ()), frame)
    words = frame.select(pl.col("b").cast(pl.Categorical))
    assert_frame_equal(rows_of(_stream(words), "arrow", DataSection(path="a.csv"), ()), words)


@given(st.integers(0, 2**31), st.integers(0, 255))
def test_a_damaged_stream_is_refused_in_words(place: int, byte: int) -> None:
    stream = bytearray(_stream(pl.DataFrame({"a": [1.5, None], "b": ["x", "y"]}), compression="zstd"))
    stream[place % len(stream)] = byte  # Polars itself ends the process at some of them
    with suppress(DataError):
        rows_of(bytes(stream), "arrow", DataSection(path="a.csv"), ())


@pytest.mark.parametrize("body", [b'{"rows": [{}, {}]}', b'{"columns": [], "data": [[], []]}'])
def test_rows_without_columns_are_refused(body: bytes) -> None:
    with pytest.raises(DataError, match="The rows have no columns"):
        rows_of(body, "json", DataSection(path="a.csv"), ())


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv_is_read_whatever_stands_between_its_cells(separator: str) -> None:
    """A German table has decimal commas between semicolons."""
    cells = [["Preis", "Art"], ["1.5" if separator == "," else "1,5", "Tisch"], ["", "Stuhl"]]
    body = "\n".join(separator.join(row) for row in cells).encode()
    found = rows_of(body, "csv", DataSection(path="a.csv"), ())
    assert found.to_dict(as_series=False) == {"Preis": [cells[1][0], None], "Art": ["Tisch", "Stuhl"]}
