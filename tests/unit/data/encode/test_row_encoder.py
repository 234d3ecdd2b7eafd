"""Rows encoded with kept expressions are encoded as without, whatever came before them."""

import pickle

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.unit.data.small_tables import N, fitted, frame
from varjepa.data.encode.row_encoder import RowEncoder
from varjepa.errors import DataError


def test_frames_of_changing_schemas_are_encoded_as_each_by_itself() -> None:
    table = frame(
        word=["a", "b", None, "c"] * (N // 4), flag=[0, 0, 1, 0] * (N // 4), day=pl.Series([19_000] * N).cast(pl.Date)
    )
    preprocessor = fitted(table)
    encoder = RowEncoder(preprocessor)
    others = [
        table, table.head(3), table.tail(5), table.with_columns(pl.col("flag").cast(pl.String)), table.clear(),
        table.select(reversed(table.columns)), table.with_columns(pl.lit(None).alias("word")), table.head(3),
    ]  # fmt: skip
    for rows in [*others, *reversed(others)]:
        assert_frame_equal(encoder(rows).collect(), preprocessor.encode(rows.lazy()).collect())
    sent: RowEncoder = pickle.loads(pickle.dumps(encoder))
    assert_frame_equal(sent(table).collect(), encoder(table).collect())


def test_a_frame_that_does_not_fit_leaves_the_next_one_as_it_is() -> None:
    table = frame(word=["a", "b", None, "c"] * (N // 4))
    encoder = RowEncoder(fitted(table))
    before = encoder(table).collect()
    for wrong in (table.drop("word"), table.with_columns(number=pl.lit("many"))):
        with pytest.raises((DataError, pl.exceptions.PolarsError)):
            encoder(wrong).collect()
    assert_frame_equal(encoder(table).collect(), before)
