"""Which rows train, validate, calibrate and test."""

import numpy as np
import polars as pl
import pytest

from varjepa.config import SplitSection
from varjepa.data.read.splits import assign_parts
from varjepa.errors import DataError

N = 200


def frame(**columns: object) -> pl.DataFrame:
    return pl.DataFrame({"text": ["a", "b"] * (N // 2)} | columns)


def test_random_splits_are_exact_seeded_and_independent_of_content() -> None:
    table = frame()
    parts = assign_parts(table.lazy(), SplitSection(seed=3))
    assert dict(parts.value_counts().iter_rows()) == {
        "train": 120,
        "validation": 20,
        "calibration": 20,
        "test": 40,
    }
    assert (parts == assign_parts(frame(number=np.zeros(N)).lazy(), SplitSection(seed=3))).all()
    assert (parts != assign_parts(table.lazy(), SplitSection(seed=4))).any()


def test_splits_by_time_keep_the_newest_for_testing_and_moments_together() -> None:
    moments = np.repeat(np.random.default_rng(0).permutation(N // 4), 4)
    parts = assign_parts(frame(moment=moments).lazy(), SplitSection(by="time", column="moment"))
    table = pl.DataFrame({"moment": moments, "part": parts})
    last = {part: table.filter(pl.col("part") == part)["moment"] for part in ("train", "validation", "test")}
    assert last["train"].max() < last["validation"].min()
    assert last["validation"].max() < last["test"].min()
    assert table.group_by("moment").agg(pl.col("part").n_unique())["part"].max() == 1
    older = table["moment"].rank("min") - 1
    assert parts.to_physical().to_list() == [sum(n >= first for first in (120, 140, 160)) for n in older]


def test_splits_by_column_and_their_faults() -> None:
    words = ["train"] * 100 + ["validation"] * 50 + ["test"] * 50
    split = SplitSection(by="column", column="part")
    assert assign_parts(frame(part=words).lazy(), split).cast(pl.String).to_list() == words
    with pytest.raises(DataError, match='holds "dev"'):
        assign_parts(frame(part=["dev", *words[1:]]).lazy(), split)
    with pytest.raises(DataError, match='no rows for "test"'):
        assign_parts(frame(part=["train"] * 150 + ["validation"] * 50).lazy(), split)
    with pytest.raises(DataError, match="The table has 1 row to learn from"):
        assign_parts(frame().head(1).lazy(), SplitSection())
    with pytest.raises(DataError, match="time column"):
        assign_parts(frame().lazy(), SplitSection(by="time", column="text"))
