"""Rows in the order of time are said to be."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from varjepa.data.read.column_profile import profile
from varjepa.tasks.setup.initialise import initialise
from varjepa.tasks.setup.time_order import FEWEST_TIMES, ordered_by_time

DAYS = [date(2026, 1, 1) + timedelta(day) for day in range(60)]
TABLES = {
    "rising": (DAYS, True),
    "falling": (DAYS[::-1], True),
    "with ties and gaps": ([day for day in DAYS for _ in range(2)] + [None], True),
    "moments": ([datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(60)], True),
    "shuffled": ([*DAYS[30:], *DAYS[:30]], False),
    "few times": (DAYS[: FEWEST_TIMES - 1] + [DAYS[FEWEST_TIMES - 2]] * 40, False),
    "numbers": (list(range(60)), False),
}


@pytest.mark.parametrize("kind", TABLES)
def test_what_is_in_the_order_of_time(kind: str) -> None:
    values, expected = TABLES[kind]
    rows = pl.DataFrame({"when": values}).lazy()
    assert bool(ordered_by_time(rows, profile(rows))) == expected


def test_init_names_the_split_once(tmp_path: Path) -> None:
    place = tmp_path / "log.csv"
    place.write_text("at,b\n" + "".join(f"{day:%d.%m.%Y},{number % 7}\n" for number, day in enumerate(DAYS)))
    started = initialise(str(place), label=None, out=tmp_path / "log.yaml", force=False)
    assert 'data.split: {by: time, column: "at"}' in started.doubts["at"]
    assert 'data.split: {by: time, column: "at"}' in started.config.read_text()
    told = ["data.split.by=time", "data.split.column=at"]
    assert initialise(str(place), label=None, out=tmp_path / "b.yaml", force=False, overrides=told).doubts == {}
