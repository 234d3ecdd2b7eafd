"""Pages of runs on the screen of a phone: what is wide scrolls within the page, and the page does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tasks.reports.test_pages import PAGES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)
def test_no_page_is_wider_than_a_phone(browser: Any, tmp_path: Path, make: Callable[[Path], str]) -> None:
    figure = tmp_path / "effects.png"
    figure.write_bytes(b"\x89PNG")
    page, place = browser.new_page(viewport={"width": 360, "height": 800}), tmp_path / "page.html"
    place.write_text(make(figure), encoding="utf-8")
    page.goto(place.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()
