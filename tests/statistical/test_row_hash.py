"""Splits by hash have the shares that were asked for, and hashes of neighbours are spread evenly."""

import numpy as np
import polars as pl

from tests.unit.data.read.test_row_hash import BY_HASH
from varjepa.data.read.row_hash import row_hashes, shares
from varjepa.data.read.splits import PARTS, assign_parts


def test_equal_rows_share_a_part_and_parts_have_their_shares() -> None:
    rng = np.random.default_rng(1)
    table = pl.DataFrame({"x": rng.normal(size=20_000), "word": rng.choice(["a", "b", "c"], 20_000)})
    parts = assign_parts(pl.concat([table, table]).lazy(), BY_HASH)
    assert parts[:20_000].to_list() == parts[20_000:].to_list()
    found = dict(parts.value_counts().iter_rows())
    # 4 standard errors of a share of 20,000 rows are at most 0.014.
    for part, share in zip(PARTS, (0.6, 0.1, 0.1, 0.2), strict=True):
        assert abs(found[part] / 40_000 - share) < 0.014, part


def test_neighbouring_numbers_are_spread_evenly() -> None:
    values = shares(row_hashes(pl.DataFrame({"id": np.arange(50_000)}).lazy()))
    counts = np.histogram(values, 20, (0, 1))[0]
    # Chi-square with 19 degrees of freedom exceeds 43.8 once in a thousand times.
    assert ((counts - 2500) ** 2 / 2500).sum() < 43.8
