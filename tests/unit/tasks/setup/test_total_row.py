"""A last row that sums up the others is said to be one, be it in text or in a spreadsheet."""

from pathlib import Path

import polars as pl
import pytest

from varjepa.data.read.column_profile import profile
from varjepa.tasks.setup.initialise import initialise
from varjepa.tasks.setup.total_row import total_row

LAST = {
    "Total": True, "TOTAL:": True, "Grand total": True, "Sub-total 2026": True, "Gesamtsumme": True, "合計": True,
    "  Итого": True, "Totally wet": False, "Summer": False, "Bern": False, "7": False, "": False,
}  # fmt: skip


@pytest.mark.parametrize("last", LAST)
def test_which_last_rows_are_totals(last: str) -> None:
    table = pl.DataFrame({"sold": [3, 4, 7], "shop": ["Bern", "Basel", last]}).lazy()
    assert bool(total_row(table, 3, profile(table, {"shop": "categorical"}))) == LAST[last]


def test_a_category_that_occurs_elsewhere_is_none() -> None:
    table = pl.DataFrame({"eclipse": ["Total", "Partial", "Total"]}).lazy()
    assert total_row(table, 3, profile(table)) == {}


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_init_says_it(ending: str, tmp_path: Path) -> None:
    place = tmp_path / f"shops.{ending}"
    shops = [f"shop {number % 5}" for number in range(40)]
    table = pl.DataFrame(
        {"shop": [*shops, "Total"], "sold": [*range(40), sum(range(40))], "open": [*([True, False] * 20), None]}
    )
    table.write_csv(place) if ending == "csv" else table.write_excel(place)
    started = initialise(str(place), label=None, out=tmp_path / "shops.yaml", force=False)
    assert 'the last row reads "Total"' in started.doubts["shop"]
    assert 'the last row reads "Total"' in started.config.read_text()
