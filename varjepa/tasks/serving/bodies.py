"""Rows from the body of a request, and the body of an answer: JSON, CSV or Arrow."""

import io
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import polars as pl

from varjepa.config.data import DataSection
from varjepa.data.cells import by_name, column
from varjepa.data.mixed import mixed_as_text, require_single
from varjepa.errors import DataError
from varjepa.tasks.serving.arrow import from_arrow

FORMAT = Literal["json", "csv", "arrow"]

TYPES: dict[str, FORMAT] = {
    "application/json": "json", "text/csv": "csv", "application/vnd.apache.arrow.stream": "arrow",
}  # fmt: skip
"""Media types that are read and written."""

MEDIA = {form: name for name, form in TYPES.items()}

PLAIN = {bool, int, float, str, type(None)}
"""Types of single cells in JSON."""

MARK = "\ufeff".encode()
"""Begin of a text in UTF-8. Polars unpacks what begins like a compressed file, to a thousand times its size."""

SEPARATORS = ",;\t|"
"""Between cells of CSV; the first one wherever it occurs."""

HEAD_BYTES = 1 << 20
"""Of a body, in which its first line is looked for."""

MOST_GAPS = 10_000_000
"""Cells that the rows of a JSON body may lack together: rows of different columns make a table of their product."""

SHAPES = 'Expected {"rows": [{"COLUMN": VALUE, ...}, ...]} or {"columns": [...], "data": [[...], ...]}.'


def rows_of(body: bytes, form: FORMAT, data: DataSection, read: Collection[str]) -> pl.DataFrame:
    """The rows of a body, with the names and, in CSV, the gap words of the table that a model was trained on.

    Args:
        body: of a request.
        form: of the body.
        data: of the model's configuration.
        read: columns that the model reads. Others of lists or objects are left out, as clients send whole records.

    Raises:
        DataError: it cannot be read.
    """
    if form != "json" and not body:
        raise DataError("The body is empty.", expected="Expected rows.")
    try:
        # All cells of CSV as text: the model knows how its columns are spelled.
        read = {*read, *(before for before, name in data.rename.items() if name in read)}
        frame = (
            _from_json(body, read) if form == "json" else _from_csv(body) if form == "csv" else from_arrow(body, read)
        )  # fmt: skip
        frame = frame.rename(data.rename, strict=False) if data.rename else frame
    except DataError:
        raise
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"The body is not valid {form}: {reason[:200]}") from error
    return _with_gaps(frame, data) if form == "csv" else frame


def _from_csv(body: bytes) -> pl.DataFrame:
    body.decode()  # Polars leaves out what is no UTF-8 in some places
    return pl.read_csv(MARK + body.removeprefix(MARK), infer_schema=False, separator=_separator(body))


def _separator(body: bytes) -> str:
    r"""What stands between cells: a comma, or what a header without commas has most of.

    Examples:
        >>> _separator(b"a,b;c,d\n"), _separator(b"a;b\n1,5;2,5\n"), _separator(b"a\n")
        (',', ';', ',')
    """
    head = body[:HEAD_BYTES].partition(b"\n")[0].decode(errors="ignore")
    return "," if "," in head else max(SEPARATORS, key=head.count)


def _with_gaps(frame: pl.DataFrame, data: DataSection) -> pl.DataFrame:
    """Columns of text without empty cells and the words that mean a gap in them; JSON and Arrow have nulls."""
    gaps = {name: ("", *data.gap_words(name)) for name in frame.columns}
    return frame.with_columns(
        pl.when(column(name).is_in(words).not_()).then(column(name)).alias(name) for name, words in gaps.items()
    )


def _from_json(body: bytes, read: Collection[str]) -> pl.DataFrame:
    import orjson

    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise DataError(f"The body is not valid JSON: {error}.", expected=SHAPES) from error
    if isinstance(content, dict) and isinstance(content.get("rows"), list):
        rows: list[Any] = content["rows"]
        if not all(isinstance(row, dict) for row in rows):
            raise DataError("A row is not an object.", expected=SHAPES)
        alike = _alike(rows)
        if alike is not None:
            return alike
        names = list(dict.fromkeys(name for row in rows for name in row))
        if len(names) * len(rows) - sum(map(len, rows)) > MOST_GAPS:
            raise DataError(f"{len(rows):,} rows have {len(names):,} columns, of which each row lacks most.")
        return _frame_of({name: [row.get(name) for row in rows] for name in names}, read, len(rows))
    if isinstance(content, dict) and isinstance(content.get("columns"), list) and isinstance(content.get("data"), list):
        return _from_table(content["columns"], content["data"], read)
    raise DataError("The body holds no rows.", expected=SHAPES)


def _alike(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame | None:
    """What `frame_of` makes of rows with the same columns of one type each, as most requests are; None for others.

    Polars reads such rows in a sixth of the time of columns.
    """
    names = rows[0].keys() if rows else ()
    if not names or "" in names or any(row.keys() != names for row in rows):  # Polars renames ""
        return None
    kinds = {name: {type(row[name]) for row in rows} for name in names}
    if not all(len(kind) == 1 and kind <= PLAIN for kind in kinds.values()):
        return None
    empty = {name: pl.String for name, kind in kinds.items() if kind == {type(None)}}
    try:
        frame = pl.from_dicts(rows, schema_overrides=empty)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return None
    return None if pl.Int128 in frame.dtypes else frame


def _from_table(names: Sequence[Any], data: Sequence[Any], read: Collection[str]) -> pl.DataFrame:
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise DataError("The columns are not different texts.", expected=SHAPES)
    if not all(isinstance(row, list) and len(row) == len(names) for row in data):
        raise DataError(f"Not every row has {len(names)} cells, one for each column.", expected=SHAPES)
    return _frame_of({name: [row[place] for row in data] for place, name in enumerate(names)}, read, len(data))


def _frame_of(columns: Mapping[str, Sequence[Any]], read: Collection[str], rows: int) -> pl.DataFrame:
    """`frame_of` the columns that the model reads and of those others that hold single cells.

    Raises:
        DataError: a cell that the model reads is a list or an object, or rows have no cells: a table without columns
            has no rows, so that they would have no answers.
    """
    single = {
        name: cells for name, cells in columns.items()
        if name in read or not any(isinstance(cell, list | dict) for cell in cells)
    }  # fmt: skip
    if rows and not single:
        raise DataError("The rows have no columns.", expected=SHAPES)
    return frame_of(single)


def frame_of(columns: Mapping[str, Sequence[Any]]) -> pl.DataFrame:
    """A frame of plain cells; a column of mixed types, as JSON allows, becomes text.

    Raises:
        DataError: a cell is a list or an object.

    Examples:
        >>> frame_of({"a": [1, 2.5], "b": [1, "x"]}).to_dict(as_series=False)
        {'a': [1.0, 2.5], 'b': ['1', 'x']}
    """
    return pl.DataFrame([_series(name, cells) for name, cells in columns.items()])


def _series(name: str, cells: Sequence[Any]) -> pl.Series:
    kinds = {type(cell) for cell in cells} - {type(None)}
    if kinds & {list, dict}:
        require_single(name, cells)
    if kinds == {int, float}:
        return pl.Series(name, cells, dtype=pl.Float64, strict=False)
    try:
        if len(kinds) <= 1:
            return pl.Series(name, cells, dtype=pl.String if not kinds else None)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        pass  # such as whole numbers beyond 64 bits
    return mixed_as_text(name, cells)


def body_of(answer: pl.DataFrame, version: str, form: FORMAT) -> bytes:
    """The body of an answer.

    Args:
        answer: one row per row of the request.
        version: that has answered; JSON holds it, and every answer has it in a header.
        form: of the body.
    """
    if form == "arrow":
        buffer = io.BytesIO()
        answer.write_ipc_stream(buffer)
        return buffer.getvalue()
    if form == "csv":
        nested = [name for name, dtype in answer.schema.items() if dtype.is_nested()]
        plain = answer.with_columns(
            pl.Series(name, [json.dumps(_plain(cell)) for cell in answer[name].to_list()], dtype=pl.String)
            for name in nested
        )
        return plain.select(by_name(answer.columns)).write_csv().encode()
    import orjson

    return orjson.dumps({"version": version, "rows": answer.to_dicts()}, option=orjson.OPT_SERIALIZE_NUMPY)


def _plain(cell: Any) -> Any:
    return cell.to_list() if isinstance(cell, pl.Series) else cell
