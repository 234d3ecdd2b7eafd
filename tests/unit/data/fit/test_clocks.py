"""The column of a split by time is no feature: what repeats in it is."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from tests.unit.data.small_tables import N, fitted, frame
from varjepa.config import DataSection
from varjepa.data.encode.preprocessor import CLOCK, Preprocessor

START = datetime.fromisoformat("2023-01-01T00:00")


def moments(step: timedelta) -> list[datetime]:
    return [START + row * step for row in range(N)]


def by_time(table: pl.DataFrame, **split: object) -> Preprocessor:
    return fitted(table, DataSection(name="sim", split={"by": "time", "column": "at"} | split))


LONG, SHORT = timedelta(days=3, hours=5), timedelta(hours=5)


@pytest.mark.parametrize(("step", "parts"), [(LONG, ["month", "weekday", "hour"]), (SHORT, ["weekday", "hour"])])
@pytest.mark.parametrize("as_text", [False, True])
def test_what_repeats_is_read_and_the_moment_is_not(step: timedelta, parts: list[str], *, as_text: bool) -> None:
    table = frame(at=pl.Series(moments(step)).dt.to_string("%Y-%m-%d %H:%M:%S") if as_text else moments(step))
    data = DataSection(name="sim", split={"by": "time", "column": "at"}, kinds={"at": "date"})
    learned = fitted(table, data)
    assert learned.names == ["number", "text", *(f"at ({part})" for part in parts)]
    assert (learned.columns, learned.order) == (["number", "text", "at"], ("number", "text"))
    assert (learned.kinds["at"], learned.undrawn["at"], "at" in learned.text) == ("date", CLOCK, as_text)
    later = table.with_columns(at=pl.Series([when + timedelta(days=3650) for when in moments(step)]))
    codes = learned.encode(later.lazy()).collect()
    assert set(codes["at (weekday)"]) <= set(range(2, 9))  # none is new
    assert Preprocessor.model_validate_json(learned.model_dump_json()) == learned
    assert "at" not in learned.without_derived().columns


@pytest.mark.parametrize(
    "values", [[row // 4 / 2 for row in range(N)], [START + timedelta(days=7 * (row // 50)) for row in range(N)]]
)
def test_a_time_without_anything_that_repeats_is_left_out(values: list[object]) -> None:
    learned = by_time(frame(at=values))
    assert (learned.left_out["at"], learned.clocks, "at" in learned.columns) == (CLOCK, (), False)


def test_the_moment_is_a_feature_where_that_is_wanted_and_in_other_splits() -> None:
    table = frame(at=moments(LONG))
    assert "at" in by_time(table, keep_time=True).names
    assert "at" in fitted(table).names
