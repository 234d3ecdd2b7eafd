"""Columns of a finished model in tables that other programs have written."""

from datetime import date, time
from typing import Any
from unicodedata import normalize

import polars as pl
import pytest

from varjepa.config.data import ColumnSection
from varjepa.data.spelling.learned import learned_cells, learned_number
from varjepa.errors import DataError

DAY = date(2015, 2, 3)
SINCE_1970 = (DAY - date(1970, 1, 1)).days
CODES = ("00501", "10115", "94105")


def read(cells: list[str | None], known: tuple[str, ...]) -> list[str | None]:
    expression = learned_cells("a", "String", pl.String(), known)
    return pl.DataFrame({"a": cells}).select(expression).to_series().to_list()


@pytest.mark.parametrize("form", ["{0}", "{0}.0", '="{0:05}"', "'{0:05}", " {0} "])
def test_codes_are_read_in_what_programs_make_of_them(form: str) -> None:
    assert read([*(form.format(code) for code in (501, 10115)), None], CODES) == ["00501", "10115", None]


def test_other_words_and_codes_without_one_length_stay() -> None:
    cells = ["x501", "1.5", "-501", "", "123456.5"]
    assert read(cells, CODES) == cells
    assert read(["501", "7.0"], ("0501", "10115")) == ["501", "7.0"]
    assert read(["501.0"], ("501", "502")) == ["501.0"]


@pytest.mark.parametrize(("learned", "written"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_words_of_another_form_of_unicode_are_the_same_words(learned: str, written: str) -> None:
    known = [normalize(learned, word) for word in ("Köln", "München", "Bonn")]
    assert read([normalize(written, "München"), "Bonn", "Rom"], tuple(known)) == [known[1], "Bonn", "Rom"]


def days(cells: list[Any], form: str | None = None) -> list[float | None]:
    table = pl.DataFrame({"a": cells})
    spelling = None if form is None else ColumnSection(format=form)
    return table.select(learned_number("a", "date", table.schema["a"], spelling)).to_series().to_list()


@pytest.mark.parametrize("form", [None, "%d/%m/%Y", "%m/%d/%Y", "%y-%m-%d", "epoch seconds", "%Y%m%d"])
def test_iso_dates_and_dates_are_read_whatever_spelling_was_learned(form: str | None) -> None:
    assert days(["2015-02-03", "2015-02-03T12:00:00Z", None], form) == [SINCE_1970, SINCE_1970 + 0.5, None]
    assert days([DAY], form) == [SINCE_1970]


def test_a_date_that_may_mean_two_days_is_not_guessed() -> None:
    assert days(["2015/02/03", "20150203", "03.02.2015"]) == [SINCE_1970] * 3
    assert days([20150203]) == [SINCE_1970]
    assert days(["2015-03-02"], "%Y-%d-%m") == [SINCE_1970]
    for cells in (["03/02/2015"], ["02-03-2015"], [16_469], [True], [time(12)]):
        with pytest.raises((DataError, pl.exceptions.InvalidOperationError), match="xpected dates"):
            days(cells)


def test_a_date_is_no_number() -> None:
    with pytest.raises(DataError, match=r"of type Date\. Expected numbers"):
        learned_number("a", "numeric", pl.Date())
