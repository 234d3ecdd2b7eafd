"""How the columns of a table are spelled, decided from all of their cells."""

import random
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from varjepa.config import DataSection
from varjepa.config.data import ColumnSection
from varjepa.data.read.sources import open_path
from varjepa.data.spelling.detect import GLANCE
from varjepa.data.spelling.read import Spelled, spelled

DATA = DataSection(name="table")
moment = datetime.fromisoformat


def read(columns: dict[str, Any], data: DataSection = DATA, text: list[str] | None = None) -> Spelled:
    return spelled(pl.DataFrame(columns).lazy(), data, text)


def column(cells: list[Any], data: DataSection = DATA) -> pl.Series:
    return read({"a": cells}, data).frame.collect()["a"]


def test_german_numbers_are_numbers() -> None:
    found = read({"amount": ["2.724,63", "5.156,87", "-0,132"], "kind": ["a", "b", "b"]})
    assert found.frame.collect().to_dict(as_series=False) == {
        "amount": [2724.63, 5156.87, -0.132],
        "kind": ["a", "b", "b"],
    }
    assert found.columns == {"amount": ColumnSection(format="1.234,5")}
    assert found.words == {"amount": "numbers with decimal comma, thousands marked by a point"}


@pytest.mark.parametrize(
    "word", ["n/a", "N/A", "-", "--", "?", "#DIV/0!", "#N/A", "nil", "Unknown", " ", "refused", "k. A."]
)
@pytest.mark.parametrize("share", [0.15, 0.6])
def test_a_word_among_numbers_is_a_gap_whatever_its_share(word: str, share: float) -> None:
    numbers = [f"{1000 + 3.5 * k}" for k in range(60)]
    cells = [word if k % 20 < 20 * share else number for k, number in enumerate(numbers)]
    found = read({"a": cells})
    values = found.frame.collect()["a"]
    assert values.dtype == pl.Float64
    assert values.null_count() == cells.count(word)
    assert not word.strip() or word.strip() in found.words["a"]


def test_a_rare_word_among_numbers_is_no_gap_and_stays() -> None:
    cells = [*(f"{k},5" for k in range(99)), "wide"]
    assert column(cells).to_list() == [*(f"{k}.5" for k in range(99)), "wide"]


KEYS = [1000, 2**53 + 1, 2**53 + 2, -(2**53) - 3, 2**63 - 1, *range(5, 25)]


@pytest.mark.parametrize("more", [[], [None, "n/a"], ["+7", " 9007199254740997 "]])
def test_whole_numbers_beyond_those_of_a_float_keep_their_digits(more: list[str | None]) -> None:
    """Keys that differ in the last digit alone would become equal."""
    found = column([*map(str, KEYS), *more])
    assert found.dtype == pl.Int64
    rest = [None if cell is None or cell == "n/a" else int(cell) for cell in more]
    assert found.to_list() == [*KEYS, *rest]


def test_they_keep_them_beside_words_and_where_the_format_is_told() -> None:
    cells = [*map(str, KEYS), *(f"{number:,}" for number in range(1000, 1500)), "wide"]
    assert column(cells).to_list() == [*map(str, KEYS), *map(str, range(1000, 1500)), "wide"]
    told = DataSection(name="table", columns={"a": ColumnSection(format="1234.5")})
    assert column([*map(str, KEYS)], told).to_list() == KEYS


def test_whole_numbers_that_64_bits_do_not_hold_are_numbers_beside_fractions() -> None:
    assert column(["0.5", "9007199254740993", "20000000000000000000", "3"]).to_list() == [0.5, 2.0**53, 2e19, 3.0]


def test_gap_words_are_words_in_a_column_of_words() -> None:
    assert column(["red", "none", "blue", "-", "unknown", " "]).to_list() == [
        "red",
        "none",
        "blue",
        "-",
        "unknown",
        None,
    ]


def test_leading_zeros_are_codes_even_in_the_last_row() -> None:
    cells = [*(str(10_000 + k) for k in range(GLANCE + 10)), "02134"]
    assert column(cells).dtype == pl.String


@pytest.mark.parametrize(
    ("first", "last", "kind", "value"),
    [
        ("1,234", "0,5", pl.Float64, 1.234), ("1,234", "1,234,567", pl.Int64, 1234),
        ("1,5", "1.234,5", pl.Float64, 1.5),
        ("1,5", "1.234", pl.Float64, 1.5), ("5", "word", pl.String, "5"),
        ("01/02/2015", "13/02/2015", pl.Date, date(2015, 2, 1)),
        ("01/02/2015", "02/13/2015", pl.Date, date(2015, 1, 2)), ("13:45", "75:30", pl.Int64, 825),
        ("2015-01-31", "2015-01-31T10:00:00", pl.Datetime("us"), moment("2015-01-31")),
        ("2015-01-31", "31.01.2015", pl.Date, date(2015, 1, 31)), ("5 kg", "6 lb", pl.String, "5 kg"),
        ("5", "5.5", pl.Float64, 5.0), ("A", "5", pl.String, "A"), ("5", "n/a", pl.Int64, 5),
    ],
)  # fmt: skip
def test_the_last_row_has_a_say(first: str, last: str, kind: pl.DataType, value: Any) -> None:
    second = {"5 kg": "7 kg", "A": "B"}.get(first, first.replace("5", "6") if first == "5" else first)
    more = {"1,234": "2,345", "1,5": "2,5", "01/02/2015": "03/04/2016", "13:45": "14:45", "2015-01-31": "2015-02-01"}
    values = column([*([first, more.get(first, second), second] * (GLANCE // 3 + 2)), last])
    assert values.dtype == kind
    assert values[0] == value


@pytest.mark.parametrize(
    ("cells", "other", "value", "said"),
    [
        (["1,234", "5,678"], ["x", "y"], 1234.0, "1234, though it may mean another number (1.234)"),
        (["$1,234,567", "$2,345"], ["x", "y"], 1234567.0, ""),
        (["1,234", "5,678"], ["0,5", "1,25"], 1.234, "decimal commas occur in other columns"),
        (["1.234", "5.678"], ["x", "y"], 1.234, "may mean another number"),
        (["1.234", "5.678"], ["0,5", "1,25"], 1234.0, "decimal commas occur in other columns"),
        (["1,001", *(f"{k},345" for k in range(1, 12)), "567"], ["x"] * 13, 1001.0, ""),
        (["1.001", *(f"{k}.345" for k in range(1, 12)), "567"], ["x"] * 13, 1001.0, ""),
        (["1.234", "5.678.901"], ["x", "y"], 1234.0, ""), (["1,234", "0,5"], ["x", "y"], 1.234, ""),
    ],
)  # fmt: skip
def test_a_mark_of_two_meanings_is_decided_by_the_table(
    cells: list[str], other: list[str], value: float, said: str
) -> None:
    found = read({"a": cells, "b": other})
    assert found.frame.collect()["a"][0] == value
    assert said in found.doubts.get("a", "")
    assert ("data.columns.a.format" in found.doubts.get("a", "")) == bool(said)


@pytest.mark.parametrize(
    ("cells", "other", "values"),
    [
        (["1.234", "567", "12.345"], ["0,5", "1,5", "2,5"], [1234, 567, 12345]),
        (["1.000", "2.500", ""], ["0,5", "1,5", "2,5"], [1000, 2500, None]),
        (["1.234", "567", "12.345"], ["0.5", "1.5", "2.5"], [1.234, 567.0, 12.345]),
        (["1.25", "0.5", "12.345"], ["0,5", "1,5", "2,5"], [1.25, 0.5, 12.345]),
    ],
)  # fmt: skip
def test_points_in_a_file_of_decimal_commas_are_marks_of_thousands(
    tmp_path: Path, cells: list[str], other: list[str], values: list[float | None]
) -> None:
    file = tmp_path / "t.csv"
    file.write_text("a;b\n" + "".join(f"{cell};{more}\n" for cell, more in zip(cells, other, strict=True)))
    found = open_path(str(file), DataSection(path=str(file)))
    assert found.frame.collect()["a"].to_list() == values
    told = DataSection(path=str(file), columns=found.columns)
    assert open_path(str(file), told, text=()).frame.collect()["a"].to_list() == values


@pytest.mark.parametrize(
    ("cells", "other", "thousand", "said"),
    [
        ([f"{k * 37:,}".replace(",", ".") for k in range(10, 60)], "red", 1000, False),
        ([f"{k * 137:,}".replace(",", ".") for k in range(10, 60)], "red", 1, True),
        ([f"{k * 37:,}".replace(",", ".") for k in range(10, 60)], "0.5", 1, False),
        ([f"{k * 37:,}".replace(",", ".") for k in range(10, 60)], "{},234.5", 1, False),
        ([f"{k / 37:.3f}" for k in range(10, 60)], "red", 1, False),
    ],
)  # fmt: skip
def test_points_beside_whole_numbers_are_marks_of_thousands_in_files_of_text(
    tmp_path: Path, cells: list[str], other: str, thousand: int, said: bool
) -> None:
    file = tmp_path / "t.csv"
    file.write_text("a;b\n" + "".join(f"{cell};{other.format(k + 1)}\n" for k, cell in enumerate([*cells, "1.250"])))
    found = open_path(str(file), DataSection(path=str(file)))
    assert found.frame.collect()["a"][-1] == 1.25 * thousand
    assert ("may mean another number" in found.doubts.get("a", "")) == said
    pl.DataFrame({"a": [*cells, "1.250"]}).write_parquet(tmp_path / "t.parquet")
    if other == "red":
        alike = open_path(str(tmp_path / "t.parquet"), DataSection(path="t"))
        assert alike.frame.collect()["a"].to_list() == found.frame.collect()["a"].to_list()


DAYS = [date(2015, 1, 1) + timedelta(weeks=k) for k in range(40)]


@pytest.mark.parametrize(
    ("cells", "other", "first", "said"),
    [
        ([f"{1 + k % 12:02}/01/{2015 + k // 12}" for k in range(36)], ["x"] * 36, date(2015, 1, 1), "same day"),
        (["01/02/2015", "03/04/2015"], ["x", "y"], date(2015, 1, 2), "no day above 12 shows it"),
        (["01.02.2015", "03.04.2015"], ["x", "y"], date(2015, 2, 1), "no day above 12 shows it"),
        (["01-02-2015", "03-04-2015"], ["x", "y"], date(2015, 2, 1), "no day above 12 shows it"),
        (["01/02/2015", "03/04/2015"], ["0,5", "1,5"], date(2015, 2, 1), "no day above 12 shows it"),
        (["01/02/2015", "03/04/2015"], ["13/02/2015", "01/02/2015"], date(2015, 2, 1), "as in other columns"),
        (["01/02/2015", "03/04/2015"], ["02/13/2015", "01/02/2015"], date(2015, 1, 2), "as in other columns"),
        ([f"{day:%d/%m/%Y}" for day in DAYS if day.day <= 12], ["x"] * 17, date(2015, 1, 1), "regular steps"),
        (["13/02/2015", "01/02/2015"], ["x", "y"], date(2015, 2, 13), ""),
    ],
)  # fmt: skip
def test_day_and_month_are_told_apart(cells: list[str], other: list[str], first: date, said: str) -> None:
    found = read({"a": cells, "b": other[: len(cells)] + ["x"] * (len(cells) - len(other))})
    assert found.frame.collect()["a"][0] == first
    assert said in found.doubts.get("a", "")
    assert bool(found.doubts) == bool(said)


def test_a_year_of_two_digits_is_no_day_that_all_dates_share() -> None:
    other = {"b": ["x", "y", "z", "x"]}
    found = read({"a": ["05.11.20", "07.12.20", "09.01.20", "11.02.20"], **other})
    assert found.frame.collect()["a"].to_list() == [
        date(2020, 11, 5), date(2020, 12, 7), date(2020, 1, 9), date(2020, 2, 11),
    ]  # fmt: skip
    firsts = read({"a": ["05.10.01", "05.11.01", "05.12.01", "06.01.01"], **other})
    assert firsts.frame.collect()["a"][0] == date(2005, 10, 1)


def test_dates_of_both_orders_in_one_column_are_a_doubt() -> None:
    cells = ["25/03/2020", "03/25/2020", "05/06/2020", "14/07/2020"]
    found = read({"a": cells})
    assert found.frame.collect()["a"].to_list() == [
        date(2020, 3, 25), date(2020, 3, 25), date(2020, 6, 5), date(2020, 7, 14),
    ]  # fmt: skip
    assert '"05/06/2020" may be either, and such dates are read with the day first' in found.doubts["a"]
    assert not read({"a": [cells[0], cells[1], cells[3]]}).doubts
    told = DataSection(name="table", columns={"a": ColumnSection(format=("%d/%m/%Y", "%m/%d/%Y"))})
    assert not read({"a": cells}, told).doubts


@pytest.mark.parametrize(("letter", "hour"), [("m", "h"), ("W", "h"), ("j", "h")])
def test_a_letter_that_may_be_no_time_is_a_unit_unless_times_stand_beside_it(letter: str, hour: str) -> None:
    cells = [f"{k}.5 {letter}" for k in range(1, 9)]
    assert column(cells).to_list() == [k + 0.5 for k in range(1, 9)]
    assert read({"a": [*cells, f"2 {hour}"]}).columns["a"].format == "duration"


def test_what_the_user_says_wins() -> None:
    data = DataSection(name="table", columns={"a": ColumnSection(format="%d/%m/%Y"), "b": ColumnSection(format="text")})
    found = read({"a": ["01/02/2015", "03/04/2015"], "b": ["1", "2"], "c": [7, 8]}, data)
    assert found.frame.collect().rows() == [(date(2015, 2, 1), "1", 7), (date(2015, 4, 3), "2", 8)]
    assert not found.doubts
    kinds = DataSection(name="table", kinds={"a": "categorical"})
    assert column(["1,5", "2,5"], kinds).to_list() == ["1,5", "2,5"]
    gaps = DataSection(name="table", columns={"a": ColumnSection(gaps=("x",))})
    assert column(["1", "x", "3"], gaps).to_list() == [1, None, 3]
    assert column(["red", "x", "blue"], gaps).to_list() == ["red", None, "blue"]


def test_a_renamed_column_goes_by_its_new_name() -> None:
    data = DataSection(name="table", rename={"a": "b"}, columns={"b": ColumnSection(format="1.234,5")})
    found = read({"a": ["1.234", "2"]}, data)
    assert found.frame.collect()["a"].to_list() == [1234, 2]
    assert list(read({"a": ["1,5", "2,5"]}, DataSection(name="table", rename={"a": "b"})).columns) == ["b"]


def test_a_finished_model_finds_nothing_out() -> None:
    columns = {"a": ColumnSection(format="%d/%m/%Y"), "b": ColumnSection(format="1.234,5")}
    found = read(
        {"a": ["01/02/2015", "30/30/2015"], "b": ["1,5", "2"], "c": ["7", "8"]},
        DataSection(name="t", columns=columns),
        ["c"],
    )
    assert found.frame.collect().rows() == [("2015-02-01", 1.5, "7"), ("30/30/2015", 2.0, "8")]


def test_rarer_types_become_plain() -> None:
    table = pl.DataFrame({
        "price": pl.Series(["1.25"]).cast(pl.Decimal(18, 2)), "wait": pl.Series([timedelta(minutes=90)]),
        "at": pl.Series([moment("2020-01-01 13:45")]).dt.time(),
        "zoned": pl.Series([moment("2020-01-01 12:00")]).dt.replace_time_zone("Europe/Berlin"),
        "ms": pl.Series([moment("2020-01-01")]).cast(pl.Datetime("ms")), "kind": pl.Series(["a"], dtype=pl.Categorical),
        "size": pl.Series(["b"], dtype=pl.Enum(["a", "b"])), "big": pl.Series([2**63], dtype=pl.UInt64),
    })  # fmt: skip
    found = spelled(table.lazy(), DATA).frame.collect()
    assert found.row(0) == (1.25, 5400.0, 49500.0, moment("2020-01-01 11:00"), moment("2020-01-01"), "a", "b", 2**63)
    assert [str(dtype) for dtype in found.dtypes[:5]] == ["Float64"] * 3 + [
        "Datetime(time_unit='us', time_zone=None)"
    ] * 2


@pytest.mark.parametrize(("numbers", "dtype"), [
    ([2**63 + 1, 2**63 + 2], pl.String()), ([2**64 - 1, 5], pl.UInt64()), ([2**53 + 1, -1], pl.Int64()),
    ([10**20, -1], pl.Float64()), ([7, -1], None),
])  # fmt: skip
def test_wide_whole_numbers_stay_exact(numbers: list[int], dtype: pl.DataType | None) -> None:
    """Keys that are hashes of 64 bits may be small; as floats, those that are large were equal."""
    for wide, few in ((pl.Int128(), pl.Int64()), (pl.Decimal(38, 0), pl.Float64())):
        cells = spelled(pl.LazyFrame({"key": pl.Series(numbers).cast(wide)}), DATA).frame.collect()["key"]
        assert cells.dtype == (dtype or few)
        assert cells.cast(wide).to_list() == numbers


def test_whole_numbers_are_times_only_where_all_are() -> None:
    days = [20_150_101 + k for k in range(20)]
    assert column(days).to_list()[:2] == [date(2015, 1, 1), date(2015, 1, 2)]
    assert column([*days, 20_151_301]).dtype == pl.Int64
    seconds = read({"created": [1_420_070_400 + 60 * k for k in range(20)]})
    assert seconds.frame.collect()["created"][0] == moment("2015-01-01")
    assert seconds.columns == {"created": ColumnSection(format="epoch seconds")}


def test_a_column_of_any_name_is_read() -> None:
    names = ["*", "^a.*$", "", "[k]", 'q"x', "a\nb"]
    found = read({name: ["1,5", "2,5"] for name in names}).frame.collect()
    assert found.columns == names
    assert all(found[name].to_list() == [1.5, 2.5] for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_numbers_in_a_random_spelling_come_back(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    decimal, group = draw.choice(
        [(".", ","), (",", "."), (",", " "), (".", "'"), (",", ""), (".", "\u00a0"), (".", "")]
    )
    before, after = draw.choice([("", ""), ("$", ""), ("", " €"), ("CHF ", ""), ("", " kg"), ("", "")])
    negative = draw.choice(["-{}", "({})", "{}-", "\u2212{}"] if "kg" not in after else ["-{}"])
    gap = draw.choice(["n/a", "-", "", "?", "refused"])
    numbers = [None if draw.random() < 0.2 else round(draw.gauss(0, 10 ** draw.randint(1, 6)), 2) for _ in range(300)]

    def written(number: float | None) -> str:
        if number is None:
            return gap
        digits = f"{abs(number):,.2f}".translate(str.maketrans({",": group, ".": decimal}))
        text = f"{before}{digits}{after}"
        return negative.format(text) if number < 0 else text

    file = tmp_path / "t.csv"
    pl.DataFrame({"a": list(map(written, numbers)), "b": range(300)}).write_csv(
        file, separator=";", quote_style="always"
    )
    found = open_path(str(file), DataSection(path=str(file)))
    assert found.frame.collect()["a"].to_list() == numbers, (found.words, found.doubts)


DATE_STYLES = [
    "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y-%m-%d", "%Y/%m/%d", "%d %b %Y", "%b %d, %Y", "%d-%b-%y", "%Y%m%d",
    "%d.%m.%y",
    "%B %d, %Y", "%A, %d %B %Y", "%Y-%m-%dT%H:%M:%SZ", "%m/%d/%Y %I:%M %p", "%d.%m.%Y %H:%M", "%Y-%m-%d %H:%M:%S.%f",
    "%d/%b/%Y:%H:%M:%S +0000", "%G-W%V-%u", "%b %d, %Y %I:%M:%S %p",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("style", DATE_STYLES)
def test_dates_in_any_spelling_come_back(tmp_path: Path, style: str) -> None:
    draw = random.Random(style)
    minutes = [draw.randrange(30 * 366 * 24 * 60) for _ in range(300)]
    moments = [moment("1990-01-01") + timedelta(minutes=minute) for minute in minutes]
    if "%M" not in style:
        moments = [moment(str(when.date())) for when in moments]
    cells = ["n/a" if draw.random() < 0.1 else when.strftime(style) for when in moments]
    file = tmp_path / "t.csv"
    pl.DataFrame({"a": cells, "b": range(300)}).write_csv(file)
    values = open_path(str(file), DataSection(path=str(file))).frame.collect()["a"].cast(pl.Datetime("us"))
    assert values.to_list() == [None if cell == "n/a" else when for cell, when in zip(cells, moments, strict=True)]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["10 sqft", "12 sqft", "900 sqft"], "numbers in sqft"),
        (["0:38:48", "1:02:03", "12:00:00"], "durations, in seconds"),
        (["0:00:01.5", "26:00:00", "3:10:20"], "durations, in seconds"),
        (["08:38:48", "00:02:03", "12:00:00"], "times of day, in seconds since midnight"),
        (["8:38", "0:02", "12:00"], "times of day, in seconds since midnight"),
    ],
)
def test_units_and_durations_are_named(cells: list[str], words: str) -> None:
    assert read({"a": cells}).words["a"] == words


@pytest.mark.parametrize(
    ("name", "unit", "times"),
    [
        ("received_ms", 1000, True), ("first seen", 1000, True), ("x", 1_000_000, True), ("x", 1, False),
        ("request_id", 1000, False), ("EAN", 1000, False), ("orderNo", 1_000_000, False),
        ("account number", 1000, False),
    ],
)  # fmt: skip
def test_thousandths_of_this_age_are_times_unless_they_are_called_keys(name: str, unit: int, times: bool) -> None:
    cells = [1_772_324_184 * unit + 7919 * step for step in range(20)]
    assert (read({name: cells}).frame.collect().schema[name] == pl.Datetime("us")) == times


@pytest.mark.parametrize(
    ("cells", "first"),
    [(["$208,500", "$97,000"], 208_500), (["1.234 €", "2.500 €"], 1234), (["CHF 1'300", "CHF 900"], 1300)],
)
def test_amounts_of_money_have_no_three_decimals(cells: list[str], first: int) -> None:
    found = spelled(pl.LazyFrame({"price": cells * 6}), DataSection(name="t"))
    assert found.frame.collect()["price"][0] == first
    assert not found.doubts


MOMENTS = [moment("2014-01-03T02:05:09") + timedelta(days=37 * row, seconds=101 * row) for row in range(60)]


@pytest.mark.parametrize(
    "pattern",
    [
        "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ", "%Y%m%d%H%M%S", "%Y-%m-%d-%H.%M.%S", "%a %b %d %H:%M:%S %Y",
        "%a %b %d %H:%M:%S UTC %Y", "%a %b %d %H:%M:%S +0000 %Y", "%H:%M:%S %d.%m.%Y", "%H:%M:%S, %Y-%m-%d",
        "%d_%m_%Y %H:%M:%S", "%Y年%m月%d日 %H:%M:%S", "%Y년 %m월 %d일 %H:%M:%S",
    ],
)  # fmt: skip
def test_moments_that_programs_write_are_read(pattern: str) -> None:
    found = read({"a": [when.strftime(pattern) for when in MOMENTS]})
    assert found.frame.collect()["a"].to_list() == MOMENTS
    one = read({"a": [MOMENTS[7].strftime(pattern)]}, DATA.model_copy(update={"columns": found.columns}))
    assert one.frame.collect()["a"].to_list() == MOMENTS[7:8]


def test_whole_numbers_of_a_moment_are_read() -> None:
    numbers = [int(when.strftime("%Y%m%d%H%M%S")) for when in MOMENTS]
    assert column(numbers).to_list() == MOMENTS


def test_the_earliest_day_of_programs_means_a_gap() -> None:
    cells = ["0001-01-01" if row % 7 == 0 else str(when.date()) for row, when in enumerate(MOMENTS)]
    assert column(cells).to_list() == [None if row % 7 == 0 else when.date() for row, when in enumerate(MOMENTS)]


@pytest.mark.parametrize("digits", [17, 20, 30])
def test_whole_numbers_with_more_digits_than_decimals_hold_stay_text(digits: int) -> None:
    keys = [str(10 ** (digits - 1) + row) for row in range(60)]
    assert column(keys).to_list() == keys


@pytest.mark.parametrize("form", ['="{}"', "$ {}", "${}M", "{} ‰", "\t{}", "'{}"])
def test_numbers_in_rarer_dress_are_read(form: str) -> None:
    numbers = [10.5 + 3 * row for row in range(40)]
    assert column([form.format(number) for number in numbers]).to_list() == numbers


@pytest.mark.parametrize("zero", ["\u0660", "\u06f0", "\u0966", "\uff10"])
def test_digits_of_other_scripts_are_read(zero: str) -> None:
    numbers = [100 + 3 * row for row in range(40)]
    assert column(["".join(chr(ord(zero) + int(digit)) for digit in str(number)) for number in numbers]).to_list() == (
        numbers
    )


@pytest.mark.parametrize("form", ['="{:04}"', '"{:04}"', "'{:04}"])
def test_leading_zeros_in_quotes_mean_a_code(form: str) -> None:
    codes = [form.format(7 * row) for row in range(40)]
    assert column(codes).to_list() == codes


def test_numbers_with_and_without_a_percent_sign_are_a_doubt() -> None:
    found = read({"mixed": ["45%", "50", "60%", "n/a"] * 12, "alike": ["45%", "5 %", "60%", "n/a"] * 12})
    assert found.frame.collect()["mixed"].to_list()[:4] == [0.45, 50.0, 0.6, None]
    assert list(found.doubts) == ["mixed"]
    assert '"45%" is read as a hundredth of 45, but "50" beside it as it stands' in found.doubts["mixed"]
