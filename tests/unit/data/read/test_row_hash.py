"""Parts that follow from what stands in a row: they stay when the table grows, whatever its columns are stored as."""

import numpy as np
import polars as pl
import pytest

from tests.flows.conftest import person_table
from varjepa.config import SplitSection
from varjepa.data.read.row_hash import hashes_in_pieces, row_hashes
from varjepa.data.read.splits import assign_parts
from varjepa.errors import DataError

BY_HASH = SplitSection(by="hash")


def test_rows_keep_their_parts_when_the_table_grows() -> None:
    table, more = person_table(3000), person_table(2000, seed=1)
    before = assign_parts(table.lazy(), BY_HASH)
    grown = pl.concat([more.head(700), table, more.tail(1300)])
    assert assign_parts(grown.lazy(), BY_HASH)[700:3700].to_list() == before.to_list()
    order = np.random.default_rng(0).permutation(3000)
    shuffled = assign_parts(table[order].select(reversed(table.columns)).lazy(), BY_HASH)
    assert shuffled.to_list() == before.gather(order).to_list()
    other = assign_parts(table.lazy(), SplitSection(by="hash", seed=1))
    assert 0.4 < (other == before).mean() < 0.55  # as chance has it: 0.42


def test_one_column_keeps_its_rows_together() -> None:
    table = person_table(3600).with_columns(customer=pl.int_range(3600) // 8)
    split = SplitSection(by="hash", column="customer")
    parts = table.with_columns(assign_parts(table.lazy(), split).alias("part"))
    assert parts.group_by("customer").agg(pl.col("part").n_unique())["part"].to_list() == [1] * 450
    assert parts["part"].n_unique() == 4


CELLS = {"whole": [1, 2, None, -7], "word": ["a", "", "7", None], "yes": [True, False, None, True],
         "part": [0.5, 2.0, float("nan"), 1e300], "day": ["2020-01-01", None, "1999-12-31", "2020-02-29"]}  # fmt: skip


def test_types_that_mean_the_same_are_the_same() -> None:
    table = pl.DataFrame(CELLS).with_columns(pl.col("day").str.to_date())
    same = table.with_columns(
        pl.col("whole").cast(pl.Float64), pl.col("yes").cast(pl.UInt8), pl.col("word").replace("", None),
        pl.col("day").cast(pl.Datetime("ms")), new=pl.lit(None, dtype=pl.String),
    )  # fmt: skip
    text = table.with_columns(
        pl.col("whole", "part").cast(pl.String).replace("NaN", None), pl.col("word").cast(pl.Categorical)
    )
    expected = row_hashes(table.lazy())
    assert len(set(expected.tolist())) == 4
    assert row_hashes(same.lazy()).tolist() == expected.tolist()
    assert row_hashes(text.lazy()).tolist() == expected.tolist()
    assert row_hashes(table.rename({"whole": "other"}).lazy()).tolist() != expected.tolist()


def test_hashes_never_change() -> None:
    """Fixed values: a release that divides rows otherwise would show champions rows of the test part."""
    table = pl.DataFrame({"a": [1, 2], "b": ["x", "wörter"], "c": [0.1, None]})
    (hashes,) = hashes_in_pieces(table.lazy(), seed=3)
    assert hashes.tolist() == [3278505599287568092, 10788230028928471792]


def test_words_that_repeat_have_the_hashes_that_they_have_alone() -> None:
    words = pl.DataFrame({"word": ["b", None, "7", "", "b", "c", "7.0"]})
    alone = [row_hashes(words[[place]].lazy())[0] for place in range(len(words))]
    assert row_hashes(pl.concat([words] * 3).lazy()).tolist() == alone * 3


def test_a_table_of_few_distinct_rows_is_told_so() -> None:
    advice = r"For small tables and tables with few distinct rows use data\.split\.by: random"
    with pytest.raises(DataError, match=advice):
        assign_parts(pl.DataFrame({"x": [1] * 100}).lazy(), BY_HASH)


def test_keys_with_more_digits_than_a_float_holds_differ() -> None:
    """They had one hash, so that the rows of half of all customers were in one part."""
    keys = [2**63 + 5, 2**63 + 6, 2**63 - 1, 2**53 + 1, 2**53, 7]
    table = pl.DataFrame({"key": pl.Series(keys, dtype=pl.UInt64)})
    hashes = row_hashes(table.lazy()).tolist()
    assert len(set(hashes)) == len(keys)
    for stored in (pl.String, pl.Int128):
        assert row_hashes(table.cast(stored).lazy()).tolist() == hashes
    assert row_hashes(table[2:].cast(pl.Int64).lazy()).tolist() == hashes[2:]
    words = [str(10**30 + number) for number in range(4)] + ["12e4567", "33e9999", "-" + "9" * 30]
    assert len(set(row_hashes(pl.DataFrame({"key": words}).lazy()).tolist())) == len(words)
    split = SplitSection(by="hash", column="key")
    rows = pl.DataFrame({"key": pl.Series(range(2**63, 2**63 + 400), dtype=pl.UInt64)})
    assert assign_parts(rows.lazy(), split).value_counts().height == 4
