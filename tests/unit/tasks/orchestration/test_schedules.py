"""Schedules: what Prefect would take, but nobody means, is refused."""

import pytest

from varjepa.errors import ConfigError
from varjepa.tasks.orchestration.schedules import schedule_of


@pytest.mark.parametrize(
    "cron", ["0 0 31 2 *", "0 3 30,31 FEB *", "0 3 31 4,6,9,11 *", "0 3 31 jun ?", "5 4 31-31 2 *"]
)
def test_a_day_that_never_comes_is_refused(cron: str) -> None:
    with pytest.raises(ConfigError, match="never runs: no such month has a day 3"):
        schedule_of(cron, None, "Europe/Berlin")


@pytest.mark.parametrize("cron", ["0 0 3 * * *", "0 3 * * * 0 2020", "0 3 * *", "3"])
def test_other_than_five_fields_are_refused(cron: str) -> None:
    with pytest.raises(ConfigError, match=r"has \d fields?\. Expected five: minute, hour"):
        schedule_of(cron, None, None)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 25 * * *", "has 25 as its hour. Expected 0 to 23."),
        ("60 3 * * *", "has 60 as its minute"),
        ("0 3 0 * *", "has 0 as its day of month"),
        ("0 3 1,2-32/2 * *", "has 32 as its day of month"),
        ("0 3 * 13 *", "has 13 as its month"),
        ("0 3 * * mon-8", "has 8 as its day of week"),
    ],
)
def test_a_number_that_its_field_cannot_have_is_named(cron: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        schedule_of(cron, None, None)
    assert said in str(refused.value)


@pytest.mark.parametrize("cron", ["0 3 * * noday", "0 3 * * sun-", "every day at three o'clock", "@nightly"])
def test_what_only_prefect_finds_is_refused_too(cron: str) -> None:
    with pytest.raises(ConfigError, match="is not a valid schedule"):
        schedule_of(cron, None, None)


@pytest.mark.parametrize(
    "cron",
    ["0 3 * * *", "@daily", "0 0 29 2 *", "0 0 31 1-2 *", "0 0 31 2 mon", "0 0 L 2 *", "0 3 */2 4 *", "0 3 1,31 4 *",
     "0 3 31 */2 *", "0 3 31 * *", "0 3 * * MON-FRI", "*/90 0-6/2 * * fri#2", "0 3 ? * 7"],
)  # fmt: skip
def test_what_runs_is_accepted(cron: str) -> None:
    assert schedule_of(cron, None, "Europe/Berlin").cron == cron
