"""What README, docs and recipes name exists: files, pages, modules."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RECIPES = [ROOT / "prefect.yaml", ROOT / "Makefile", *sorted(path for path in (ROOT / "docker").iterdir())]
SOURCES = [path for floor in ("benchmarks", "varjepa") for path in sorted((ROOT / floor).rglob("*.py"))]
WRITTEN = [*PAGES, *RECIPES, *SOURCES]

FOLDERS = "benchmarks|configs|docker|docs|tests|varjepa"
PATH = re.compile(rf"(?<![\w./~-])(?:{FOLDERS})/[\w./-]*\.(?:csv|json|md|png|py|sql|yaml|Dockerfile)\b")
"""A path from the repository's root, such as docs/gate.md."""

LINK = re.compile(r"\]\(([^)#]+)\)")
MODULE = re.compile(r"\bpython3? -m ((?:benchmarks|varjepa)(?:\.\w+)*)(?: ([a-z]\w*))?|\s-m (varjepa\.[\w.]+)")
EXAMPLES = {"configs/NAME.yaml"}
"""Paths that stand for others."""


def paths(text: str) -> Iterator[str]:
    """Paths from the repository's root that a text names, placeholders left out."""
    return (match for match in PATH.findall(text) if match not in EXAMPLES)


# One test for all pages and sources: a test for each of them would take a tenth of `make quick` to be told apart.
def test_every_named_file_exists() -> None:
    named = ((page, path) for page in WRITTEN for path in paths(page.read_text()))
    assert [(str(page), path) for page, path in named if not (ROOT / path).is_file()] == []


def test_every_link_leads_to_a_file() -> None:
    links = ((page, link) for page in PAGES for link in LINK.findall(page.read_text()) if "://" not in link)
    assert [(str(page), link) for page, link in links if not (page.parent / link).is_file()] == []


def test_every_named_module_exists() -> None:
    modules = ((page, module or other) for page in WRITTEN for module, _, other in MODULE.findall(page.read_text()))
    assert [(str(page), name) for page, name in modules if importlib.util.find_spec(name) is None] == []


def test_every_benchmark_that_pages_name_exists() -> None:
    named = {
        name
        for page in PAGES
        for module, name, _ in MODULE.findall(page.read_text())
        if module == "benchmarks" and name
    }
    assert named
    assert {name for name in named if not (ROOT / "benchmarks" / f"{name}.py").is_file()} == set()


def test_every_page_is_linked() -> None:
    # A page that no other page links to is not found by readers.
    linked = {
        (page.parent / link).resolve() for page in PAGES for link in LINK.findall(page.read_text()) if "://" not in link
    }
    assert [str(page) for page in PAGES[1:] if page.resolve() not in linked] == []


def test_placeholders_and_paths_are_told_apart() -> None:
    text = "see docs/gate.md, `varjepa/nn/block.py`; not configs/NAME.yaml, my/docs/x.md or ./docs/y.md"
    assert list(paths(text)) == ["docs/gate.md", "varjepa/nn/block.py"]
