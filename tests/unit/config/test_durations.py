"""Durations as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varjepa.config.durations import LONGEST, duration, in_words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5h", 5400), ("1h30m", 5400), ("1h 30m", 5400), (" 2d ", 172_800), ("1d12h", 129_600)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "soon", "h", "1 hour", "-1h", "+1h", "0", "0.5s", "1e3", "nan", "inf", "1h1h", "1h30", "1,5h", "½h",
     "\u0661h", "9" * 400, "99999999d", "1:30"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|twice"):
        duration(text)


@pytest.mark.slow
@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        seconds = duration(text).total_seconds()
    except ValueError:
        return
    assert 1 <= seconds <= LONGEST


@given(st.floats(0, 1e7))
def test_words_name_two_units_at_most(seconds: float) -> None:
    words = in_words(seconds).split()
    assert len(words) in (2, 4)
    assert all(math.isfinite(float(number)) for number in words[::2])
