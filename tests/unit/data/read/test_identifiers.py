"""Columns that identify rows are told from features: in any order, with gaps, and however they are read."""

import hashlib
from functools import partial
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import numpy as np
import polars as pl
import pytest

from varjepa.config import DataSection, PreprocessSection
from varjepa.data.fit.partitioned_rows import PartitionedRows
from varjepa.data.fit.preprocessor_fit import fit, fit_rows, inspect_columns
from varjepa.data.fit.ranges import map_in_this_thread
from varjepa.data.fit.rows_protocol import TrainingRows
from varjepa.data.fit.streamed_rows import StreamedRows
from varjepa.data.read.sources import ROW
from varjepa.tasks.retrain.partitions import partitions_of
from varjepa.tasks.retrain.preprocess import divide, in_partitions, inspect, learn

N = 600
DATA = DataSection(path="t", label="label")


def identifiers(random: np.random.Generator) -> dict[str, object]:
    """Columns that identify rows."""
    number, order = np.arange(N), random.permutation(N)
    gaps = np.sort(random.choice(2 * N, N, replace=False))
    return {
        "running": number, "shuffled": order, "from a million": 10**6 + number, "with gaps": gaps,
        "with gaps, shuffled": gaps[order], "few of many": random.choice(20 * N, N, replace=False),
        "every tenth": 10 * number, "as floats": number.astype(float), "signed": number - N // 2,
        "with missing cells": pl.Series(number).cast(pl.Float64).scatter(random.choice(N, 60, replace=False), None),
        "accounts": 1_000_000_000 + order, "scattered keys": random.integers(-(2**62), 2**62, N),
        "with copies": random.permutation(np.r_[np.arange(N - 30), random.choice(N - 30, 30, replace=False)]),
        "customer_id": random.choice(10**9, N, replace=False), "OrderID": random.choice(10**9, N, replace=False),
        "Unnamed: 0": random.choice(10**9, N, replace=False), "": number % (N // 2),  # two tables, one below the other
        "text": [f"{place:06}" for place in order], "prefixed": [f"C-{place}" for place in gaps[order]],
        "uuid": [str(UUID(bytes=random.bytes(16))) for _ in number],
        "once repeated": [f"n{place % (N - 1)}" for place in range(N)],
        "digest": [hashlib.sha256(bytes([place % 256, place // 256])).hexdigest() for place in number],
    }  # fmt: skip


def features(random: np.random.Generator) -> dict[str, object]:
    """Columns that do not, although most of them never repeat."""
    minutes = 60 * np.arange(N)
    days = pl.date_range(pl.date(2015, 1, 1), pl.date(2016, 8, 22), eager=True)
    cents = (random.lognormal(3, 1, 4 * N) * 100).astype(int)
    return {
        "measured": random.normal(size=N), "electrons": random.lognormal(50, 2, N),
        "grid": np.arange(N) / 4, "cents": cents[:N],
        "distinct cents": random.permutation(np.unique(random.integers(10**6, size=2 * N)))[:N],
        "size id card": random.normal(size=N), "unix time": 1_600_000_000 + minutes,
        "unix time, ms": (1_600_000_000 + minutes) * 1000, "unix time, ns": (1_600_000_000 + minutes) * 10**9,
        "day": days, "day as number": days.dt.strftime("%Y%m%d").cast(pl.Int64),
        "zip": random.choice(99_999, N, replace=False), "age": random.integers(18, 90, N),
        "count": random.poisson(2000, N), "word": random.choice(["a", "b", "c"], N),
        "pairs": random.permutation(N) // 2, "levels": random.permutation(N) % 30,
        "Unnamed: 3": random.integers(60, size=N), "Unnamed: 0.1": random.integers(18, 90, N),
        "product_id": random.integers(90, size=N),
        "flag": random.integers(2, size=N), **texts(random),
    }  # fmt: skip


FIRST = ["Anna", "Paul", "Rosa", "Ole", "John", "Mary", "Peter", "Emily", "Alice", "Harry", "Owen", "Ludmila"]
LAST = ["Smith", "Jones", "Keller", "Brandt", "Horn", "Jensen", "Miller", "Dupont", "Rossi", "Garcia", "Novak"]


def texts(random: np.random.Generator) -> dict[str, list[str]]:
    """Text that says something, although (nearly) all of it differs."""
    first, last = random.choice(FIRST, (2, N))[0], random.choice(LAST, N)
    return {
        "full name": [f"{last[k]}, Mrs. {first[k]} ({k})" for k in range(N)],
        "address": [f"{random.integers(999)} {last[k]} Street, {first[-k]}ville" for k in range(N)],
        "mail": [f"{first[k]}.{last[k]}{k}@example.org".lower() for k in range(N)],
        "review_id": [f"{first[k]} {last[k]} was here on day {k}" for k in range(N)],
    }


def table(seed: int, *, order: str) -> pl.DataFrame:
    """All columns, with the rows in the order of the label or in any."""
    random = np.random.default_rng(seed)
    frame = pl.DataFrame({**identifiers(random), **features(random)}, strict=False).with_columns(
        label=pl.Series(np.arange(N) < N / 2)
    )
    return frame if order == "label" else frame[random.permutation(N)]


def cut(frame: pl.DataFrame) -> list[partial[pl.LazyFrame]]:
    return [partial(frame[low:high].lazy) for low, high in pairwise([0, 7, 250, 251, N])]


@pytest.mark.slow
@pytest.mark.parametrize("order", ["label", "any"])
@pytest.mark.parametrize("seed", range(3))
def test_a_verdict_is_the_same_however_the_rows_are_read(
    seed: int, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    frame = table(seed, order=order).with_columns(pl.lit(None).alias("empty"), pl.lit(1).alias("constant"))
    expected = set(identifiers(random)), sorted([*features(random), "constant"])

    def found(rows: TrainingRows) -> tuple[set[str], list[str]]:
        verdicts = inspect_columns(rows, DATA)
        return {name for name, kind in verdicts.kinds.items() if kind == "identifier"}, list(verdicts.contents)

    for first in (10_000, 5):  # rows that may settle a column alone
        monkeypatch.setattr("varjepa.data.fit.preprocessor_fit.GLANCE_ROWS", first)
        assert found(StreamedRows(frame.lazy())) == expected
        assert found(PartitionedRows(cut(frame))) == expected
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.STREAM_ROWS", 100)
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.GLANCE_ROWS", 50)
    monkeypatch.setattr("varjepa.data.fit.ranges.RANGE_VALUES", 100)
    assert found(StreamedRows(frame.lazy())) == expected


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_the_fit_keeps_the_verdict_of_all_rows(share: float) -> None:
    """Training rows alone would call other columns identifiers, and miss some."""
    frame = table(0, order="label")
    verdict = inspect_columns(StreamedRows(frame.lazy()), DATA).kinds
    identify = {name for name, kind in verdict.items() if kind == "identifier"}
    train = frame.filter(np.random.default_rng(1).random(N) < share)
    fitted = fit(train.lazy(), DATA, PreprocessSection(), verdict)
    assert {name for name, why in fitted.left_out.items() if why == "it identifies rows"} == identify
    assert fitted.left_out.keys() == identify
    parts = [partial(train[low : low + 50].lazy) for low in range(0, train.height, 50)]
    assert fit_rows(PartitionedRows(parts), DATA, PreprocessSection(), verdict).left_out == fitted.left_out


@pytest.mark.slow
def test_all_rows_decide_before_the_split(tmp_path: Path) -> None:
    """In the training rows a running number has gaps, and a key that repeats may occur once."""
    frame = table(0, order="label").drop("age", "count", "cents").with_columns(pl.int_range(N).alias(ROW))
    path = tmp_path / "clean.parquet"
    frame.write_parquet(path, row_group_size=100)
    verdicts = inspect(path, DATA)
    marked, _ = divide(path, DATA.split, tmp_path)
    whole = learn(marked, DATA, PreprocessSection(), verdicts.kinds)
    partitions = partitions_of(path, tmp_path / "parts.parquet", 200)
    assert len(partitions) == 3
    parted, *_ = in_partitions(partitions, DATA, PreprocessSection(), tmp_path, map_in_this_thread)
    assert whole.left_out == parted.left_out == dict.fromkeys(whole.left_out, "it identifies rows")
    assert whole.left_out.keys() == identifiers(np.random.default_rng(0)).keys()


@pytest.mark.slow
def test_a_verdict_is_overruled_by_what_is_declared() -> None:
    frame = table(0, order="any")
    data = DATA.model_copy(update={"kinds": {"running": "numeric", "age": "identifier"}})
    verdict = inspect_columns(StreamedRows(frame.lazy()), data).kinds
    assert "running" not in verdict
    assert "age" in verdict
    fitted = fit(frame.lazy(), data, PreprocessSection(), verdict)
    assert "running" in fitted.names
    assert "age" in fitted.left_out


def test_in_a_small_table_numbers_that_differ_are_numbers() -> None:
    ages = [31, 45, 27, 62, 58, 39, 33, 71, 24, 50, 47, 66]
    small = pl.DataFrame({"age": ages, "": range(12), "word": ["a", "b"] * 6})
    assert inspect_columns(StreamedRows(small.lazy()), DataSection(path="t")).kinds == {"": "identifier"}
