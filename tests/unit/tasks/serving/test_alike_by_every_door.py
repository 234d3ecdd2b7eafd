"""Rows are encoded alike by whichever door they come: bodies of requests, and the tables of a notebook."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.unit.data.files.every_format import MANY, WRITERS, learned_from, written
from varjepa.config import DataSection
from varjepa.data.encode.row_encoder import RowEncoder
from varjepa.inference.given_tables import from_pandas
from varjepa.tasks.serving.bodies import rows_of

LINES = MANY.with_columns(pl.col("day").cast(pl.String)).to_dicts()
TEXT = MANY.write_csv()


def _stream(data: DataSection) -> pl.DataFrame:
    buffer = io.BytesIO()
    MANY.write_ipc_stream(buffer)
    return rows_of(buffer.getvalue(), "arrow", data, ())


DOORS: dict[str, Callable[[DataSection], pl.DataFrame]] = {
    "JSON, row by row": lambda data: rows_of(json.dumps({"rows": LINES}).encode(), "json", data, ()),
    "JSON, a matrix": lambda data: rows_of(
        json.dumps({"columns": MANY.columns, "data": [[*line.values()] for line in LINES]}).encode(), "json", data, ()
    ),
    "CSV": lambda data: rows_of(TEXT.encode(), "csv", data, ()),
    "CSV with semicolons": lambda data: rows_of(MANY.write_csv(separator=";").encode(), "csv", data, ()),
    "Arrow": _stream,
    "Polars": lambda _: MANY,
    "pandas": lambda _: from_pandas(MANY.to_pandas()),
    "pandas, its own types": lambda _: from_pandas(MANY.to_pandas().convert_dtypes()),
    # pandas takes the zeros of codes and turns true into True.
    "pandas from CSV": lambda _: from_pandas(pd.read_csv(io.StringIO(TEXT))),
    "pandas from CSV, all text": lambda _: from_pandas(
        pd.read_csv(io.StringIO(TEXT), dtype=str, keep_default_na=False)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("door", DOORS)
def test_rows_are_encoded_alike_by_every_door(door: str, tmp_path: Path) -> None:
    for learned in WRITERS:
        told, model, expected = learned_from(written(tmp_path, learned, MANY))
        expected = expected.select(model.names)
        rows = RowEncoder(model)(DOORS[door](told)).collect()
        assert_frame_equal(rows.select(expected.columns), expected)
