"""The rows of a training table that the model has not learned from."""

import polars as pl
import pytest

from varjepa.config import DataSection
from varjepa.data.read.splits import assign_parts
from varjepa.tasks.drift.training_table import rows_beyond

ROWS = pl.DataFrame({"was": [f"r{row}" for row in range(400)], "part": (["train"] * 3 + ["test"]) * 100})
HASHED = DataSection.model_validate(
    {"path": "t.csv", "rename": {"was": "is"}, "split": {"by": "hash", "columns": ["is"]}}
)


def test_a_split_by_hash_is_repeated_under_the_names_of_training() -> None:
    left = rows_beyond(ROWS.lazy(), HASHED, ["train"])
    assert left is not None
    parts = assign_parts(ROWS.lazy().rename({"was": "is"}), HASHED.split)
    assert left.collect().equals(ROWS.filter(parts.cast(pl.String) != "train"))


@pytest.mark.parametrize(
    ("left_out", "kept"), [(["train"], {"validation", "test"}), (["train", "validation"], {"test"})]
)
def test_a_split_by_column_is_repeated(left_out: list[str], kept: set[str]) -> None:
    rows = ROWS.with_columns(pl.col("part").replace({"test": "validation"})).with_columns(
        pl.when(pl.int_range(pl.len()) % 8 == 7).then(pl.lit("test")).otherwise("part").alias("part")
    )
    data = DataSection.model_validate({"path": "t.csv", "split": {"by": "column", "column": "part"}})
    left = rows_beyond(rows.lazy(), data, left_out)
    assert left is not None
    assert set(left.collect()["part"]) == kept


@pytest.mark.parametrize("split", [{"by": "random"}, {"by": "hash", "seen": "all"}, {"by": "column", "column": "gone"}])
def test_other_splits_cannot_be_repeated(split: dict) -> None:
    assert rows_beyond(ROWS.lazy(), DataSection.model_validate({"path": "t.csv", "split": split}), ["train"]) is None
