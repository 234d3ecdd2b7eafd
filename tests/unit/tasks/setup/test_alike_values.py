"""Categories that differ only in how they are written are named, be they of a feature or of the label."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from varjepa.data.read.column_profile import profile
from varjepa.tasks.setup.alike_values import MOST_DISTINCT, MOST_GROUPS, alike_values, written_plainly
from varjepa.tasks.setup.initialise import initialise

COLUMNS = {
    "capitals": (["ok", "OK", "late"], True),
    "accents": (["Zürich", "Zurich", "Bern"], True),
    "composed letters": (["Zu\u0308rich", "Zürich", "Bern"], True),
    "wide letters": (["\uff21BC", "abc", "d"], True),
    "blanks": (["New York", "New  York", "Bern"], True),
    "hyphens": (["self-employed", "self_employed", "none of these"], True),
    "grades": (["A", "A-", "A+", "B"], False),
    "languages": (["C", "C#", "C++"], False),
    "signs": (["<5", ">5", "=5"], False),
    "other letters": (["да", "нет"], False),
    "numbers of versions": (["v1.0", "v10"], False),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_which_values_are_alike(kind: str) -> None:
    values, expected = COLUMNS[kind]
    rows = pl.DataFrame({"value": values * 20}).lazy()
    assert bool(alike_values(rows, profile(rows).values())) == expected


@given(st.text(max_size=12))
def test_how_a_value_is_written_plainly_is_plain(value: str) -> None:
    plain = written_plainly(value)
    assert written_plainly(plain) == plain
    assert written_plainly(f"  {value}\t") == plain


def test_cells_are_counted_and_many_groups_are_cut_short() -> None:
    values = [f"{letter}x" for letter in "abcde"] + [f"{letter}X" for letter in "abcde"]
    rows = pl.DataFrame({"value": values * 20 + ["AX"]}).lazy()
    words = alike_values(rows, profile(rows).values())["value"]
    assert words.startswith('"AX" (1 cell), "aX" (20) and "ax" (20); "bX" (20 cells) and "bx" (20); ')
    assert f"and {5 - MOST_GROUPS} more groups differ" in words


def test_names_of_which_some_are_alike_by_chance_are_not_asked_about() -> None:
    values = [f"n{number}" for number in range(MOST_DISTINCT)] + ["N0"]
    rows = pl.DataFrame({"value": values * 4}).lazy()
    assert not alike_values(rows, profile(rows, {"value": "categorical"}).values())


def test_init_says_it_of_a_feature_and_of_the_label(tmp_path: Path) -> None:
    place = tmp_path / "machines.csv"
    lines = [f"{row % 7}.5,{('ok', 'OK', 'hot')[row % 3]},{('Yes', 'no', 'yes')[row // 3 % 3]}\n" for row in range(90)]
    place.write_text("load,state,failed\n" + "".join(lines))
    started = initialise(str(place), label="failed", out=tmp_path / "machines.yaml", force=False)
    for name, words in {"state": '"OK" (30 cells) and "ok" (30)', "failed": '"Yes" (30 cells) and "yes" (30)'}.items():
        assert words in started.doubts[name]
    assert '"OK" (30 cells)' in started.config.read_text()
