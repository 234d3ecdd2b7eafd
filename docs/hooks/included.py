"""What pages of the site take from elsewhere: files of the root, notebooks with outputs, help texts, the config schema.

A page names it in a comment: `include: CHANGELOG.md`, `notebook: examples/NAME.ipynb`, `commands` or `configuration`.
"""

import re
from pathlib import Path
from typing import Any

from commands import commands_page
from notebook import notebook_page

from varjepa.config.schema_page import key_tables

ROOT = Path(__file__).parents[2]
INCLUDED = re.compile(r"^<!-- (include|notebook|commands|configuration)(?:: ([\w./-]+))? -->$", re.MULTILINE)
KEY = re.compile(r"^\| `([\w.]+)` \|", re.MULTILINE)
"""A row about a key, whose name is not wrapped."""

ROOT_PAGE = re.compile(r"\]\(((?:\.\./)*)\.\./(CHANGELOG|CONTRIBUTING|SECURITY|README)\.md")
"""A link from a page to a file of the root, which has a page of its own on the site."""

BLOCK = re.compile(r"(?:^    \S.*\n)+", re.MULTILINE)
"""Commands, one a line."""

COMMENTED = re.compile(r"^    (?! |#)(.+?) {2,}(# .*)$", re.MULTILINE)
"""A command with a comment beside it."""

LONGEST = 92
"""Characters of a line of code that a page of usual width has room for."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page with its comments replaced by what they name; called by MkDocs for every page."""
    return BLOCK.sub(_fitting, ROOT_PAGE.sub(_page_of_site, INCLUDED.sub(_content, markdown)))


def _content(match: re.Match[str]) -> str:
    kind, name = match.groups()
    if kind == "configuration":
        return KEY.sub(r"| `\1`{ .key } |", key_tables(level=3))
    if kind == "commands":
        return commands_page()
    if kind == "notebook":
        return notebook_page(ROOT / name)
    # Its title is that of the page, and links from the root become links from docs/.
    _, _, text = (ROOT / name).read_text().partition("\n")
    text = re.sub(r"\]\((\w+\.md)", r"](../\1", text)
    return text.replace("](docs/", "](")


def _fitting(block: re.Match[str]) -> str:
    """Commands with their comments above them, where one has no room for its comment beside it."""
    lines = block.group()
    long = any(len(line) > LONGEST + 4 for line in lines.splitlines() if COMMENTED.match(line))
    return COMMENTED.sub(r"    \2\n    \1", lines) if long else lines


def _page_of_site(match: re.Match[str]) -> str:
    up, name = match.groups()
    return f"]({up}{'index' if name == 'README' else name.lower()}.md"


OPTION = re.compile(r"(?<![\w>-])\[?--[a-z][\w-]*")


def on_page_content(html: str, **_: Any) -> str:
    """A page whose options of the command line stay whole where a line ends; called by MkDocs for every page."""
    return re.sub(
        r"<code>[^<]*</code>", lambda code: OPTION.sub(r'<span class="option">\g<0></span>', code.group()), html
    )
