"""A browser that is on this machine already; tests are skipped where there is none."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--no-first-run"]  # fmt: skip


@pytest.fixture(scope="module")  # while it lasts, its event loop runs in this thread, and no other one may
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"there is no browser on this machine ({', '.join(BROWSERS)})")
    with api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=program, args=SWITCHES)
        yield found
        found.close()
