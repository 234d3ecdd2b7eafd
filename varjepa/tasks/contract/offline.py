"""Great Expectations' pages, made readable without a network: they take their styles and scripts from other hosts."""

import re
import shutil
from pathlib import Path

from varjepa.tasks.reports.page import render

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 0; color: #222 }
nav.navbar-expand-md { border-bottom: 1px solid #ddd; padding: .5rem 1.5rem }
.container-fluid { padding: 1rem 1.5rem }
body > .container-fluid > .row { display: flex; gap: 2rem; align-items: flex-start }
body > .container-fluid > .row > :first-child { flex: 0 0 14rem }
body > .container-fluid > .row > :last-child { flex: 1 1 0; min-width: 0 }
.ge-breadcrumbs, .ge-navigation-sidebar-content, .nav { list-style: none; padding: 0; margin: 0 }
.ge-breadcrumbs-item + .ge-breadcrumbs-item { color: #666 }
.ge-navigation-sidebar-container { overflow: auto }
h4, h5, h6 { margin: .8rem 0 .3rem; font-size: 1rem }
.alert { border-top: 2px solid #ccc; margin-top: 1.5rem; padding-top: .3rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.2rem }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #e4e4e4 }
td { overflow-wrap: anywhere }
.badge { background: #eee; border-radius: .3rem; padding: 0 .3rem }
.fa-check-circle::before { content: "\\2713"; color: #2e7d4f }
.fa-times::before { content: "\\2717"; color: #c0392b }
.fa-exclamation-triangle::before { content: "!"; color: #b8860b }
.btn-group, .modal, footer, [style*="display: none"] { display: none }
"""

ELSEWHERE = r"""["']?(?:https?:)?//"""
"""How a link to another host begins."""

LEFT_OUT = (
    re.compile(r"<script\b.*?</script\s*>", re.IGNORECASE | re.DOTALL),
    re.compile(rf"<link\b[^>]*href={ELSEWHERE}[^>]*>", re.IGNORECASE),
    re.compile(r"<link\b[^>]*rel=[\"']shortcut icon[^>]*>", re.IGNORECASE),
    re.compile(rf"<img\b[^>]*src={ELSEWHERE}[^>]*>", re.IGNORECASE),
    re.compile(r"<style\b.*?</style\s*>", re.IGNORECASE | re.DOTALL),
)
"""What a page has for readers with a network: scripts, styles, and pictures of other hosts."""


def offline(page: str) -> str:
    """A page with styles of its own, without scripts and without anything of other hosts.

    Examples:
        >>> "evil" in offline('<head><script src="https://evil"></script></head><a href="https://evil">x</a>')
        False
    """
    for pattern in LEFT_OUT:
        page = pattern.sub("", page)
    page = re.sub(rf"\s(?:href|src|action)={ELSEWHERE}[^\s>]*", "", page, flags=re.IGNORECASE)
    return page.replace("</head>", f"<style>{STYLE}</style></head>", 1)


def make_offline(docs: Path) -> None:
    """Rewrites all pages in a folder, and removes the files that only their own styles need."""
    index = docs / "index.html"
    pages = sorted(path for path in docs.rglob("*.html") if path != index)
    for path in pages:
        path.write_text(offline(path.read_text(encoding="utf-8")), encoding="utf-8")
    # Great Expectations' own index is a table that scripts fill.
    links = [(path.relative_to(docs).parts[0], path.relative_to(docs).as_posix()) for path in pages]
    index.write_text(render("data_docs.html", links=links), encoding="utf-8")
    shutil.rmtree(docs / "static", ignore_errors=True)
