"""Cells of columns of any name."""

import polars as pl
import pytest

from varjepa.data.cells import as_number, as_text, column


@pytest.mark.parametrize("name", ["*", "^a.*$", "^$", "", "[k]", ".low", 'q"x', "a\nb", "a" * 300])
def test_a_name_is_never_a_pattern(name: str) -> None:
    table = pl.DataFrame({name: [1, 2], "ab": [3, 4]})
    assert table.select(column(name)).to_dict(as_series=False) == {name: [1, 2]}
    assert table.lazy().select((column(name) + column("ab")).alias("sum")).collect()["sum"].to_list() == [4, 6]
    assert table.select(as_text(name, pl.Int64()))[name].to_list() == ["1", "2"]
    assert table.select(as_number(name, "numeric", pl.Int64()))[name].to_list() == [1.0, 2.0]
