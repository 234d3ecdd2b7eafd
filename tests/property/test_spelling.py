"""Numbers and dates that are written in any spelling come back."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varjepa.config import DataSection
from varjepa.data.spelling.dates import read_dates
from varjepa.data.spelling.numbers import EXAMPLES, NumberStyle, read_numbers
from varjepa.data.spelling.read import spelled

STYLES = [NumberStyle(*marks) for marks in dict.fromkeys(EXAMPLES.values()) if marks[1] != ",,"]
DRESSES = ["{}", " {} ", "$ {}", "{} €", "CHF {}", "\u00a0{}", '"{}"', "{} kr"]
PATTERNS = [
    "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y-%m-%d", "%Y/%m/%d", "%d %b %Y", "%B %d, %Y", "%d-%b-%Y", "%Y%m%d",
    "%A, %d %B %Y", "%G-W%V-%u", "%Y-%j",
]  # fmt: skip


@st.composite
def written_numbers(draw: st.DrawFn) -> tuple[NumberStyle, list[float], list[str]]:
    style, dress = draw(st.sampled_from(STYLES)), draw(st.sampled_from(DRESSES))
    negative = draw(st.sampled_from(["-{}", "({})", "{}-", "\u2212{}", "- {}"]))
    places = draw(st.integers(0, 5))
    numbers = [round(n, places) + 0.0 for n in draw(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20))]
    texts = []
    for number in numbers:
        digits = f"{abs(number):,.{places}f}".translate(str.maketrans({",": style.thousands, ".": style.decimal}))
        texts.append(negative.format(dress.format(digits)) if number < 0 else dress.format(digits))
    return style, numbers, texts


@pytest.mark.slow
@settings(max_examples=300)
@given(written_numbers())
def test_numbers_come_back(written: tuple[NumberStyle, list[float], list[str]]) -> None:
    style, numbers, texts = written
    assert read_numbers(pl.Series(texts), style).to_list() == numbers


@settings(max_examples=100)
@given(st.lists(st.dates(date(1970, 1, 1), date(2068, 12, 31)), min_size=1, max_size=20), st.sampled_from(PATTERNS))
def test_dates_come_back(days: list[date], pattern: str) -> None:
    texts = [day.strftime(pattern) for day in days]
    assert read_dates(pl.Series(texts), pattern).dt.date().to_list() == days


@pytest.mark.slow
@settings(max_examples=50)
@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=12), st.from_regex(r"[-+(]?[0-9.,' ]{1,9}[)%-]?", fullmatch=True)),
        max_size=30,
    )
)
def test_any_text_is_read_without_a_fault_and_the_same_twice(cells: list[str | None]) -> None:
    table = pl.DataFrame({"a": pl.Series(cells, dtype=pl.String)})
    first = spelled(table.lazy(), DataSection(name="table"))
    again = spelled(table.lazy(), DataSection(name="table", columns=first.columns), text=())
    read = first.frame.collect()
    assert read.height == len(cells)
    if first.columns:
        assert again.frame.collect().equals(read)
