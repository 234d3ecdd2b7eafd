"""Pieces of the self-contained pages and tables that reports consist of."""

import base64
import csv
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

STYLE = (
    "body{{font:15px/1.5 system-ui,sans-serif;max-width:{width}rem;margin:2rem auto;padding:0 1rem;color:#222}}"
    "table{{border-collapse:collapse;margin:.5rem 0 1.5rem}}td,th{{padding:.2rem .9rem .2rem 0;text-align:left;"
    "border-bottom:1px solid #e4e4e4}}td:last-child{{font-variant-numeric:tabular-nums}}h2{{font-size:1.1rem}}"
    "td:first-child{{white-space:nowrap}}td:nth-child(2):last-child{{overflow-wrap:anywhere}}"
)


def html_page(title: str, body: Iterable[str], *, width: int = 52) -> str:
    """One page that needs nothing beside it.

    Args:
        title: plain text.
        body: HTML.
        width: largest, in rem.
    """
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{STYLE.format(width=width)}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(body)}</body></html>"


def html_table(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> str:
    """A table of plain texts; no header line without `header`."""
    lines = ["".join(f"<th>{escape(cell)}" for cell in header)] if header else []
    lines += ["".join(f"<td>{escape(cell)}" for cell in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def html_image(file: Path) -> str:
    """A PNG file inside the page."""
    data = base64.b64encode(file.read_bytes()).decode()
    return f'<img style="width:100%" alt="{escape(file.stem)}" src="data:image/png;base64,{data}">'


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as CSV, UTF-8 with LF."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
