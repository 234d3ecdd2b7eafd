"""Parts that follow from what stands in a row: they stay when the table grows, whatever its columns are stored as."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.flows.conftest import person_table
from varjepa.config import SplitSection
from varjepa.data.read.row_hash import hashes_in_pieces, row_hashes, shares
from varjepa.data.read.splits import PARTS, assign_parts
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


def test_equal_rows_share_a_part_and_parts_have_their_shares() -> None:
    rng = np.random.default_rng(1)
    table = pl.DataFrame({"x": rng.normal(size=20_000), "word": rng.choice(["a", "b", "c"], 20_000)})
    parts = assign_parts(pl.concat([table, table]).lazy(), BY_HASH)
    assert parts[:20_000].to_list() == parts[20_000:].to_list()
    found = dict(parts.value_counts().iter_rows())
    # 4 standard errors of a share of 20,000 rows are at most 0.014.
    for part, share in zip(PARTS, (0.6, 0.1, 0.1, 0.2), strict=True):
        assert abs(found[part] / 40_000 - share) < 0.014, part


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


@given(st.lists(st.text(), min_size=2, max_size=40))
def test_different_texts_have_different_hashes(words: list[str]) -> None:
    hashes = row_hashes(pl.DataFrame({"word": words}, schema={"word": pl.String}).lazy())
    plain = [word for word in words if word.isalpha()]
    found = {word: int(number) for word, number in zip(words, hashes, strict=True) if word in plain}
    assert len(set(found.values())) == len(found)


def test_neighbouring_numbers_are_spread_evenly() -> None:
    values = shares(row_hashes(pl.DataFrame({"id": np.arange(50_000)}).lazy()))
    counts = np.histogram(values, 20, (0, 1))[0]
    # Chi-square with 19 degrees of freedom exceeds 43.8 once in a thousand times.
    assert ((counts - 2500) ** 2 / 2500).sum() < 43.8


def test_a_table_of_few_distinct_rows_is_told_so() -> None:
    advice = r"For small tables and tables with few distinct rows use data\.split\.by: random"
    with pytest.raises(DataError, match=advice):
        assign_parts(pl.DataFrame({"x": [1] * 100}).lazy(), BY_HASH)
