"""Statistics of large tables, read as a stream, are those of the whole table in memory."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from varjepa.config import DataSection, PreprocessSection
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.data.fit.streamed_rows import StreamedRows
from varjepa.data.read.column_profile import profile


def test_many_rows_are_read_as_a_stream_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, n = np.random.default_rng(0), 4000
    frame = pl.DataFrame({
        "number": rng.normal(size=n), "skewed": rng.exponential(size=n).round(2), "count": rng.integers(0, 7, n),
        "identifier": np.arange(n), "constant": np.ones(n), "flag": rng.random(n) < 0.3,
        "word": rng.choice(["a", "b", "c"], n), "label": rng.integers(0, 2, n), "code": rng.choice(["7", "8", "x"], n),
        "late": np.r_[rng.integers(0, 9, 1000), rng.normal(size=n - 1000).round(2)],
        "hollow": rng.normal(size=n).round(1),
    }).with_columns(
        pl.when(pl.col("number") < 1.5).then("number").alias("number"),
        pl.when(pl.col("identifier") > 1000).then("hollow").alias("hollow"),
    )  # fmt: skip
    data, settings = DataSection(path="x.csv", label="label"), PreprocessSection()
    whole = fit(frame.lazy(), data, settings).model_dump()
    # As in a table of millions of rows and many columns: a stream in pieces, columns in several rounds.
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.STREAM_ROWS", n - 1)
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.GLANCE_ROWS", 1000)
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.PIECE_ROWS", 500)
    monkeypatch.setattr("varjepa.data.fit.numeric_features.COLUMNS_AT_ONCE", 2)
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.COLUMNS_AT_ONCE", 2)
    streamed = fit(frame.lazy(), data, settings).model_dump()
    assert whole["left_out"].keys() == {"identifier", "constant"}
    for mine, theirs in zip(whole.pop("numeric"), streamed.pop("numeric"), strict=True):
        for name, value in mine.items():
            assert theirs[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float | tuple) else value), name
    assert streamed == whole


def test_of_many_rows_the_kinds_are_those_of_all_and_different_values_are_estimated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng, n = np.random.default_rng(0), 4000
    twice = np.r_[np.arange(n - 1), 0]
    frame = pl.DataFrame({
        "number": rng.normal(size=n), "counter": rng.permutation(n), "twice": rng.permutation(twice),
        "pairs": rng.permutation(n) // 2, "hollow_id": twice, "key": [f"k{k}" for k in rng.permutation(n)],
        "nearly_key": [f"k{k}" for k in rng.permutation(twice)],
        "half": [f"k{k}" for k in rng.permutation(n) // 2], "over half": [f"k{k // 2}" for k in range(1, n + 1)],
        "word": rng.choice(["a", "b", "c"], n), "name": rng.choice([f"n{k}" for k in range(300)], n),
        "flag": rng.integers(0, 2, n), "constant": np.ones(n), "lists": [[1]] * n,
        "day": [date(2020, 1, 1 + k % 28) for k in range(n)], "yes": rng.random(n) < 0.3,
    }).with_columns(
        pl.when(pl.col("number") < 1.5).then("number").alias("number"),
        pl.when(pl.col("hollow_id") > 0).then("hollow_id").alias("hollow_id"),
        empty=pl.lit(None, dtype=pl.Float64),
    )  # fmt: skip
    exact = StreamedRows(frame.lazy()).whole_profiles()
    assert exact == profile(frame.lazy())
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.STREAM_ROWS", 900)
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.GLANCE_ROWS", 400)
    monkeypatch.setattr("varjepa.data.fit.ranges.RANGE_VALUES", 1000)
    found = StreamedRows(frame.lazy()).whole_profiles()
    kinds = {name: facts.kind for name, facts in exact.items()}
    assert kinds["counter"] == kinds["hollow_id"] == kinds["key"] == "identifier"
    # One row that was copied with its number does not make the number a measurement.
    assert (kinds["twice"], kinds["nearly_key"], kinds["pairs"]) == ("identifier", "identifier", "numeric")
    assert (kinds["half"], kinds["over half"]) == ("categorical", "text")
    for name, facts in found.items():
        # Estimates were up to 15% off on 10^8 values.
        assert facts.distinct == pytest.approx(exact[name].distinct, rel=0.25), name
        assert replace(facts, distinct=0) == replace(exact[name], distinct=0), name
