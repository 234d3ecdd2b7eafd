"""Columns that are called keys and repeat are named, and get no range: new customers get larger numbers."""

from pathlib import Path

import polars as pl
import pytest

from varjepa.data.read.column_profile import profile
from varjepa.data.read.contract import load_contract
from varjepa.tasks.setup.initialise import initialise
from varjepa.tasks.setup.repeated_keys import FEWEST_KEYS, repeated_keys

NUMBERS = [7 * (row % 40) + 1000 for row in range(120)]
COLUMNS = {
    "numbers": ("customer_id", NUMBERS, True),
    "words": ("CustomerId", [f"C-{number}" for number in NUMBERS], True),
    "with gaps": ("patient key", [*NUMBERS, None], True),
    "few": ("shop_id", [row % (FEWEST_KEYS - 1) for row in range(120)], False),
    "each once": ("order_id", [row * 7919 % 12007 for row in range(120)], False),
    "decimals": ("index", [number / 8 for number in NUMBERS], False),
    "another name": ("humid", NUMBERS, False),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_which_columns_are_keys_that_repeat(kind: str) -> None:
    name, values, expected = COLUMNS[kind]
    profiles = profile(pl.DataFrame({name: values}).lazy())
    assert bool(repeated_keys(profiles)) == expected
    assert not repeated_keys(profiles, label=name)


def test_init_names_the_split_once_and_drafts_no_range(tmp_path: Path) -> None:
    place = tmp_path / "orders.csv"
    place.write_text("customer_id,euro\n" + "".join(f"{number},{number % 13}.5\n" for number in NUMBERS))
    started = initialise(str(place), label=None, out=tmp_path / "orders.yaml", force=False)
    assert "40 keys in 120 rows" in started.doubts["customer_id"]
    assert 'data.split: {by: hash, column: "customer_id"}' in started.config.read_text()
    drafted = load_contract(started.contract).columns
    assert (drafted["customer_id"].min, drafted["customer_id"].max) == (None, None)
    assert drafted["euro"].max is not None
    told = ["data.split.by=hash", "data.split.column=customer_id"]
    assert initialise(str(place), label=None, out=tmp_path / "b.yaml", force=False, overrides=told).doubts == {}
