"""Numbers in two spellings within one column are named, and nothing else is."""

from pathlib import Path

import polars as pl
import pytest

from varjepa.data.read.column_profile import profile
from varjepa.tasks.setup.initialise import initialise
from varjepa.tasks.setup.mixed_numbers import mixed_numbers

COLUMNS = {
    "both": (["1.234,56", "2,345.67", "0,5", "7.25"], True),
    "a gap word": (["1.234,56", "2,345.67", "0,5", "7.25"] * 4 + ["n/a"], True),
    "words": (["red", "1.5 l", "2,5 l"], False),
    "few numbers": (["1.5", "2,5", "red", "blue"], False),
    "versions": (["1.2.3", "1.10.0"], False),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_which_columns_mix_spellings(kind: str) -> None:
    cells, expected = COLUMNS[kind]
    rows = pl.DataFrame({"a.b[c]": cells * 9}).lazy()
    assert bool(mixed_numbers(rows, profile(rows).values())) == expected


def test_files_of_two_offices_are_said_by_init(tmp_path: Path) -> None:
    for name, rows in (("bonn", ["1.234,5"] * 8 + ["7,25"]), ("york", ["1,234.5"] * 8 + ["8.25"])):
        text = "price;kind\n" + "".join(f"{cell};{at % 3}\n" for at, cell in enumerate(rows))
        (tmp_path / "table").mkdir(exist_ok=True)
        (tmp_path / "table" / f"{name}.csv").write_text(text)
    started = initialise(str(tmp_path / "table"), label=None, out=tmp_path / "c.yaml", force=False)
    assert "numbers in two spellings" in started.doubts["price"]
