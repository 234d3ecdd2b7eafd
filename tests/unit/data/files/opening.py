"""Writes bytes and opens them."""

from pathlib import Path

import polars as pl

from varjepa.config import DataSection
from varjepa.data.files.opened import open_files

Columns = dict[str, list[object]]


def put(folder: Path, content: bytes | str, name: str = "t.csv") -> Path:
    """A file with this content."""
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode() if isinstance(content, str) else content)
    return place


def opened(path: Path, text: tuple[str, ...] = (), **settings: object) -> tuple[pl.DataFrame, str]:
    """The rows, and the notes as one text."""
    source = open_files(str(path), DataSection(path=str(path), **settings), text)
    return source.frame.collect(), "\n".join(source.notes)
