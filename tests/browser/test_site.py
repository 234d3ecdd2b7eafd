"""Pages of the documentation on a narrow screen."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def test_names_in_tables_stay_whole_on_a_narrow_screen(browser: Any, tmp_path: Path) -> None:
    """The columns of a table that is too wide were as narrow as `same_inpu` and `ts`."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    page = browser.new_page(viewport={"width": 600, "height": 900})
    page.goto((tmp_path / "gate.html").as_uri())
    lines = "code => [code.textContent, code.getClientRects().length]"
    names = page.eval_on_selector_all(
        "td code", f"all => all.filter(code => /^[\\w.]+$/.test(code.textContent)).map({lines})"
    )
    assert len(names) > 10
    assert [name for name, parts in names if parts > 1] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 600
    page.close()
