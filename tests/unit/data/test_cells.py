"""Cells of columns of any name."""

import polars as pl
import pytest

from varjepa.data.cells import as_number, as_text, column, reads_plainly


@pytest.mark.parametrize("name", ["*", "^a.*$", "^$", "", "[k]", ".low", 'q"x', "a\nb", "a" * 300])
def test_a_name_is_never_a_pattern(name: str) -> None:
    table = pl.DataFrame({name: [1, 2], "ab": [3, 4]})
    assert table.select(column(name)).to_dict(as_series=False) == {name: [1, 2]}
    assert table.lazy().select((column(name) + column("ab")).alias("sum")).collect()["sum"].to_list() == [4, 6]
    assert table.select(as_text(name, pl.Int64()))[name].to_list() == ["1", "2"]
    assert table.select(as_number(name, "numeric", pl.Int64()))[name].to_list() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("cell", "plain"),
    [
        ("1.5", True), ("-1e3", True), ("2019-02-28", True), ("2020-02-29T23:59", True), ("2019-02-29", False),
        ("2019-13-01", False), ("2019-02-03 24:00", False), ("soon", False), (None, None),
    ],
)  # fmt: skip
def test_only_days_of_the_calendar_read_plainly(cell: str | None, plain: bool | None) -> None:
    assert reads_plainly(pl.Series([cell], dtype=pl.String)).to_list() == [plain]
