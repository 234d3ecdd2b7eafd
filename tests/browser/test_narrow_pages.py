"""Pages of runs on any screen: what is wide scrolls or is broken within the page, and the page does not scroll."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tasks.reports.test_pages import PAGES, hostile_facts
from varjepa.evaluation.bootstrap import Interval
from varjepa.tasks.release.card import html_card

pytestmark = pytest.mark.slow


@contextmanager
def opened(browser: Any, text: str, place: Path, *, width: int) -> Iterator[Any]:
    """A page with this text on a screen of this many pixels."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    place.write_text(text, encoding="utf-8")
    page.goto(place.as_uri())
    yield page
    page.close()


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_no_page_is_wider_than_a_phone(browser: Any, tmp_path: Path, make: Callable[[Path], str]) -> None:
    figure = tmp_path / "effects.png"
    figure.write_bytes(b"\x89PNG")
    with opened(browser, make(figure), tmp_path / "page.html", width=360) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_hundreds_of_columns_leave_the_card_as_wide_as_it_was(browser: Any, tmp_path: Path) -> None:
    """A row of 700 names was 14,000 pixels wide."""
    facts = hostile_facts(tmp_path / "effects.png")
    away = {f"pixel_{number}": "it has a single value" for number in range(700)}
    facts = replace(facts, prepared=replace(facts.prepared, left_out=away))
    with opened(browser, html_card(facts), tmp_path / "page.html", width=1280) as page:
        assert page.evaluate("Math.max(...[...document.querySelectorAll('table')].map(t => t.scrollWidth))") <= 1280


def test_long_text_of_a_card_wraps_on_a_wide_screen_and_figures_do_not(browser: Any, tmp_path: Path) -> None:
    facts = replace(
        hostile_facts(tmp_path / "x.png"), metrics={"head/r2": 0.8}, intervals={"head/r2": Interval(0.7, 0.9)}
    )
    facts = replace(facts, decisions={**facts.decisions, "certificate": "at least as many rows as promised, " * 20})
    with opened(browser, html_card(facts), tmp_path / "page.html", width=1280) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        assert page.locator("td", has_text="0.8000 (0.7000 to 0.9000)").first.bounding_box()["height"] < 35
