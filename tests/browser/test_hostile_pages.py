"""Every page that hostile names and cells went through, in a real browser: nothing of them runs."""

from typing import Any

import pytest

from tests.hostile_table import HIT

pytestmark = pytest.mark.slow


def test_a_page_shows_nothing_but_text(browser: Any, hostile_home: Any) -> None:
    context = browser.new_context()
    page, dialogs, asked = context.new_page(), [], set()
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.add(request.url))
    page.route("http*://**", lambda route: route.abort())
    shown = 0
    for path in hostile_home.pages:
        page.goto(path.as_uri(), wait_until="load")
        for element in page.locator("b, img, a, td").all()[:40]:
            element.dispatch_event("mouseover")
        assert page.evaluate("window.hit") is None, path
        assert page.evaluate("document.querySelectorAll('img[src=x], img[src=y]').length") == 0, path
        shown += HIT in page.inner_text("body")
    assert shown > 3
    assert dialogs == []
    assert not [url for url in asked if "127.0.0.1" in url]
    context.close()
