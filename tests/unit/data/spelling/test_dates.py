"""Dates, times of day and durations."""

from datetime import datetime

import polars as pl
import pytest

from varjepa.config.data import ColumnSection
from varjepa.data.spelling.dates import read_dates
from varjepa.data.spelling.durations import read_durations, read_times
from varjepa.data.spelling.propose import proposals
from varjepa.data.spelling.readers import TIME, Reader, reader_of
from varjepa.data.spelling.whole_numbers import whole_number_readers
from varjepa.errors import ConfigError

DATES = [
    ("%Y-%m-%d", "2015-01-31", "2015-01-31"), ("%Y-%m-%d", "2015-1-3", "2015-01-03"),
    ("%Y-%m-%d", "2015-01-31T10:00:00Z", "2015-01-31 10:00"),
    ("%Y-%m-%d", "2015-01-31 10:00:00+02:00", "2015-01-31 08:00"),
    ("%Y-%m-%d", "2015-01-31T10:00:00-0500", "2015-01-31 15:00"), ("%Y-%m-%d", "2015-01-31 10:00", "2015-01-31 10:00"),
    ("%Y-%m-%d", "2015-01-31 10:00:00 UTC", "2015-01-31 10:00"), ("%Y-%m-%d", "2015-01-31 00:00:00.000", "2015-01-31"),
    ("%Y-%m-%d", "2015-02-30", None), ("%Y-%m-%d", "15-01-31", None), ("%Y-%m-%d", "2015-01-31 25:00", None),
    ("%Y-%m-%d", "9999-12-31", "9999-12-31"), ("%Y-%m-%d", " 2015-01-31 ", "2015-01-31"), ("%Y-%m-%d", "soon", None),
    ("%d.%m.%Y", "1.2.2015", "2015-02-01"), ("%d.%m.%Y", "01.02.2015 10:30", "2015-02-01 10:30"),
    ("%d.%m.%Y", "13.13.2015", None), ("%d.%m.%y", "31.12.99", "1999-12-31"), ("%d.%m.%y", "1.1.15", "2015-01-01"),
    ("%m/%d/%Y", "01/02/2015", "2015-01-02"), ("%m/%d/%Y", "1/2/2015 1:45 PM", "2015-01-02 13:45"),
    ("%m/%d/%Y", "1/2/2015, 12:00 am", "2015-01-02"), ("%m/%d/%Y", "01/02/15", None), ("%m/%d/%Y", "13/02/2015", None),
    ("%m/%d/%Y %I:%M %p", "01/02/2015 1:45 PM", "2015-01-02 13:45"),
    ("%d/%b/%Y:%H:%M:%S %z", "10/Oct/2000:13:55:36 -0700", "2000-10-10 20:55:36"),
    ("%d/%b/%Y", "10/Oct/2000:13:55:36 -0700", "2000-10-10 20:55:36"),
    ("%b %d, %Y", "Jan 5, 2015", "2015-01-05"), ("%b %d, %Y", "January 5th, 2015", "2015-01-05"),
    ("%b %d, %Y", "Sept. 5, 2015", "2015-09-05"), ("%b %d, %Y", "Monday, Jan 5 2015 10:00", "2015-01-05 10:00"),
    ("%b %d, %Y", "5 Jan 2015", None), ("%d %b %Y", "5 Jan 2015", "2015-01-05"),
    ("%d %b %Y", "5. März 2015", "2015-03-05"),
    ("%d %b %Y", "5-Jan-2015", "2015-01-05"), ("%d %b %Y", "05Jan2015", "2015-01-05"), ("%d %b %Y", "5 foo 2015", None),
    ("%d %b %Y", "5 de enero de 2015", "2015-01-05"), ("%d %b %Y", "1er janvier 2015", "2015-01-01"),
    ("%d %b %Y", "Mon, 05 Jan 2015 10:00:00 +0000", "2015-01-05 10:00"), ("%d %b %Y", "12 août 2015", "2015-08-12"),
    ("%d-%b-%y", "05-Dez-15", "2015-12-05"), ("%b-%y", "Dec-11", "2011-12-01"), ("%b %Y", "mai 2015", "2015-05-01"),
    ("%Y-%m", "2015-03", "2015-03-01"), ("%Y-%m", "2015-3", "2015-03-01"), ("%Y-%m", "2015-13", None),
    ("%YM%m", "2015M03", "2015-03-01"), ("%m/%Y", "03/2015", "2015-03-01"), ("%Y%m", "201503", "2015-03-01"),
    ("%G-W%V", "2015-W07", "2015-02-09"), ("%GW%V", "2015W07", "2015-02-09"), ("%G-W%V-%u", "2015-W07-3", "2015-02-11"),
    ("%Y%m%d", "20150131", "2015-01-31"), ("%Y%m%d", "20151331", None), ("%Y%m%d", "2015013", None),
    ("%Y%m%d%H%M%S", "20150131101112", "2015-01-31 10:11:12"), ("%Y-%j", "2015-031", "2015-01-31"),
    ("quarter", "2015Q3", "2015-07-01"), ("quarter", "2015-Q1", "2015-01-01"), ("quarter", "q4 2015", "2015-10-01"),
    ("quarter", "2015Q5", None), ("epoch seconds", "1420070400", "2015-01-01"),
    ("epoch milliseconds", "1420070400000", "2015-01-01"), ("epoch seconds", "1e30", None),
]  # fmt: skip
TIMES = [
    ("13:45", 49500.0), ("1:45 PM", 49500.0), ("1:45 p.m.", 49500.0), ("12:00 am", 0.0), ("12:30 PM", 45000.0),
    ("13:45:10", 49510.0), ("13:45:10.5", 49510.5), ("13h45", 49500.0), ("3 pm", 54000.0), ("14 Uhr", 50400.0),
    ("10:00+02:00", 28800.0), ("10:00Z", 36000.0), ("24:00", None), ("13:60", None), ("13:00 pm", None), ("13", None),
]  # fmt: skip
DURATIONS = [
    ("1:02:03", 3723.0), ("75:30", 4530.0), ("-0:30:00", -1800.0), ("P1DT2H", 93600.0), ("PT5M", 300.0),
    ("P1W", 604800.0),
    ("PT1.5S", 1.5), ("2 days 03:00:00", 183600.0), ("1 day, 2:00:00", 93600.0), ("-1 days +23:00:00", -3600.0),
    ("0 days 00:00:00.5", 0.5), ("1d 2h 3m", 93780.0), ("2h30m", 9000.0), ("5 min", 300.0), ("90s", 90.0),
    ("1 hour and 5 minutes", 3900.0), ("1,5 h", 5400.0), ("-2h", -7200.0), ("3 Tage", 259200.0), ("250 ms", 0.25),
    ("P", None), ("5", None), ("soon", None), ("1:75", None), ("4:3", None), ("", None),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "text", "moment"), DATES)
def test_a_date_is_read(pattern: str, text: str, moment: str | None) -> None:
    read = read_dates(pl.Series([text, None]), pattern)
    assert read.dtype == pl.Datetime("us")
    assert read.to_list() == [None if moment is None else datetime.fromisoformat(moment), None]


@pytest.mark.parametrize(("text", "seconds"), TIMES)
def test_a_time_of_day_is_read(text: str, seconds: float | None) -> None:
    assert read_times(pl.Series([text, None])).to_list() == [seconds, None]


def test_times_of_other_zones_stay_within_a_day() -> None:
    reader = Reader((TIME,))
    cells = pl.Series(["00:30+02:00", "23:30-05:00", "23:59:60", "12:00Z", None])
    assert reader.values(cells).to_list() == [81_000.0, 16_200.0, 86_400.0, 43_200.0, None]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_a_duration_is_read_alone_and_among_others(text: str, seconds: float | None) -> None:
    assert read_durations(pl.Series([text])).to_list() == [seconds]
    assert read_durations(pl.Series(["1:02:03", text, "PT1H", None])).to_list() == [3723.0, seconds, 3600.0, None]


@pytest.mark.parametrize(
    ("texts", "formats"),
    [
        (["01/02/2015", "03/04/2015"], [("%d/%m/%Y",), ("%m/%d/%Y",)]), (["01/02/2015", "13/04/2015"], [("%d/%m/%Y",)]),
        (["01/02/2015", "12/25/2015"], [("%m/%d/%Y",)]), (["13/02/2015", "12/25/2015"], [("%d/%m/%Y", "%m/%d/%Y")]),
        (["31.01.2024", "2024-01-01"], [("%d.%m.%Y", "%Y-%m-%d")]),
        (["2024-01-01 10:00:00", "2024-02-02"], [("%Y-%m-%d",)]),
        (["15-01-31", "15-02-01"], [("%d-%m-%y",), ("%y-%m-%d",)]), (["Jan 5, 2015", "Feb 3, 2015"], [("%b %d, %Y",)]),
        (["Dec-11", "Jan-12"], [("%b-%y",)]), (["5. Mai 2015", "7. Juni 2015"], [("%d. %b %Y",)]),
        (["2015-03", "2015-04"], [("%Y-%m",)]), (["2015-W07", "2015-W08"], [("%G-W%V",)]),
        (["2015Q1", "2015Q2"], [("quarter",)]),
        ([f"201501{day}" for day in range(10, 16)], [("%Y%m%d",)]), (["13:45", "14:00"], [("time of day",)]),
        (["75:30", "10:00"], [("duration",)]), (["P1D", "PT5H"], [("duration",)]), (["5 Feb", "6 Mar"], []),
        (["Feb 5", "Mar 6"], []), (["2008/09", "2009/10"], []),
    ],
)  # fmt: skip
def test_a_pattern_is_proposed(texts: list[str], formats: list[tuple[str, ...]]) -> None:
    assert [reader.formats for reader in proposals(dict.fromkeys(texts, 1))] == formats


@pytest.mark.parametrize(
    ("name", "numbers", "formats"),
    [
        ("created_at", [1_420_070_401 + 977 * k for k in range(20)], ("epoch seconds",)),
        ("customer", [1_420_070_401 + 977 * k for k in range(20)], None),
        ("x", [1_420_070_400 + 3600 * k for k in range(20)], ("epoch seconds",)),
        ("eventTime", [1_420_070_400_123 + 86_400_001 * k for k in range(20)], ("epoch milliseconds",)),
        ("x", [20_150_101 + k for k in range(20)], ("%Y%m%d",)), ("x", [20_150_101 + 7 * k for k in range(20)], None),
        ("x", [201_500 + k for k in range(1, 13)], ("%Y%m",)), ("x", [201_500 + k for k in range(1, 20)], None),
        ("time", [5, 6, 7, 8, 9, 10], None), ("date", [20_150_101, 20_150_102], None),
    ],
)  # fmt: skip
def test_whole_numbers_may_be_times(name: str, numbers: list[int], formats: tuple[str, ...] | None) -> None:
    found = whole_number_readers(name, pl.Series(numbers))
    assert [reader.formats for reader in found] == ([] if formats is None else [formats])


@pytest.mark.parametrize("form", ["%Q", "%d.%m.%", "%H:%M", "day", "12345", ("1234.5", "%Y-%m-%d")])
def test_a_format_that_is_none_is_refused(form: str | tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"data\.columns\.due\.format"):
        reader_of(ColumnSection(format=form), "due")
