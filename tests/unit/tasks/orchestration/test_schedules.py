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


@pytest.mark.parametrize("cron", ["0 0 3 * * *", "0 3 * * * 0 2020"])
def test_more_than_five_fields_are_refused(cron: str) -> None:
    with pytest.raises(ConfigError, match=r"has \d fields\. Expected five: minute, hour"):
        schedule_of(cron, None, None)


@pytest.mark.parametrize(
    "cron",
    ["0 3 * * *", "@daily", "0 0 29 2 *", "0 0 31 1-2 *", "0 0 31 2 mon", "0 0 L 2 *", "0 3 */2 4 *", "0 3 1,31 4 *",
     "0 3 31 */2 *", "0 3 31 * *", "0 3 * * MON-FRI"],
)  # fmt: skip
def test_what_runs_is_accepted(cron: str) -> None:
    assert schedule_of(cron, None, "Europe/Berlin").cron == cron
