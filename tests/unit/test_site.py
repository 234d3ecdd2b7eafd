"""The documentation site: built as `make docs` builds it, with every link checked, and whole without a network."""

import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import get_args, get_origin

import pytest

from varjepa.config import RetrainConfig
from varjepa.flows.cli import cli

ROOT = Path(__file__).parents[2]
LOADED = re.compile(
    r'<(?:script|img|iframe|source)[^>]*\ssrc="([^"]*)"|<link[^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*href="([^"]*)"'
)
FROM_CSS = re.compile(r"(?:@import|url\()\s*[\"']?((?:https?:)?//[^\"')]+)")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    loaded = {a or b for page in pages for a, b in LOADED.findall(page.read_text())}
    assert any(place.endswith(".css") for place in loaded)
    assert [place for place in loaded if "//" in place.split("base64")[0]] == []
    assert [place for sheet in site.rglob("*.css") for place in FROM_CSS.findall(sheet.read_text())] == []


def test_every_key_of_a_config_is_on_its_page(site: Path) -> None:
    page = (site / "configuration.html").read_text()
    sections = {
        name: get_args(field.annotation)[0] if get_origin(field.annotation) is tuple else field.annotation
        for name, field in RetrainConfig.model_fields.items()
    }
    keys = {f"{name}.{key}" for name, section in sections.items() for key in section.model_fields}
    assert len(keys) > 100
    assert {key for key in keys if f">{key}</code>" not in page} == set()


def test_every_command_is_on_its_page(site: Path) -> None:
    page = unescape((site / "commands.html").read_text())
    for name, command in cli.commands.items():
        assert f"Usage: varjepa {name} " in page
        assert all(option in page for parameter in command.params for option in parameter.opts if option[:2] == "--")


def test_notebooks_are_shown_with_their_outputs(site: Path) -> None:
    for name in ("quick-start", "certificate", "impute-and-sample", "similar-rows"):
        page = (site / "notebooks" / f"{name}.html").read_text()
        assert page.count('class="output"') >= 4, name
        assert "data:image/png;base64" in page or name == "similar-rows"


def test_the_reference_is_made_from_docstrings(site: Path) -> None:
    page = unescape((site / "api.html").read_text())
    for words in ("Learns embeddings of table rows.", "near_duplicates", "ContractError", "further columns of classes"):
        assert words in page


def test_files_of_the_root_have_pages_whose_links_stay_on_the_site(site: Path) -> None:
    for name, words in {
        "changelog": "Unreleased",
        "contributing": "How to add a head",
        "security": "Reporting",
    }.items():
        page = (site / f"{name}.html").read_text()
        assert words in page
        assert not re.search(r'href="[^"]*\.md["#]', page)


def test_commands_have_room_for_the_comments_beside_them(site: Path) -> None:
    """What is wider than the page wraps, and a comment that wraps is read as a part of the next command."""
    blocks = [
        unescape(re.sub(r"<[^>]+>", "", block))
        for page in site.glob("*.html") for block in re.findall(r"<pre.*?</pre>", page.read_text(), re.DOTALL)
    ]  # fmt: skip
    lines = [line for block in blocks for line in block.splitlines() if line.startswith(("varjepa ", "make "))]
    assert len(lines) > 80
    assert [line for line in lines if re.search(r"\S {2,}# ", line) and len(line) > 92] == []


def test_options_stay_whole_where_a_line_ends(site: Path) -> None:
    page = (site / "commands.html").read_text()
    assert '<span class="option">[--label</span> COL]' in page
    assert re.findall(r"<code>[^<]* --", page) == []
