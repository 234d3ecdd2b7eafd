"""The names of the columns of local files, from their headers alone, for checks before any row is read."""

from pathlib import Path

import polars as pl

from varjepa.config import DataSection
from varjepa.data.files.compression import format_inside
from varjepa.data.files.content import HEAD, compression_of
from varjepa.data.files.damage import readable
from varjepa.data.files.delimited import header_names
from varjepa.data.files.found import find_files, keys_of

MOST_FILES = 20
"""Of a table of more files, the names are not collected."""

MOST_BYTES = 1 << 28
"""Larger texts are not looked through for their encoding, which takes the time of reading them."""


def column_names(path: str, data: DataSection) -> list[str] | None:
    """The names of the columns after `data.rename`; None where it takes more than a look at the first bytes.

    Args:
        path: a file, a folder or a glob.
        data: settings that overrule what is found out about the files.

    Raises:
        DataError: there is no such table, or its header is not usable.
    """
    files = find_files(path).files
    if len(files) > MOST_FILES:
        return None
    names: dict[str, None] = {}
    for file in files:
        own = _names_in(file, data)
        if own is None:
            return None
        names |= dict.fromkeys([*own, *keys_of(file)])
    return [data.rename.get(name, name) for name in names]


def _names_in(file: Path, data: DataSection) -> tuple[str, ...] | None:
    with file.open("rb") as stream:
        if compression_of(stream.read(HEAD)) is not None:
            return None
    kind = format_inside(file)
    if kind == "csv":
        return header_names(file, file, data) if file.stat().st_size <= MOST_BYTES else None
    with readable(file):
        if kind == "parquet":
            return tuple(pl.read_parquet_schema(file))
        return tuple(pl.read_ipc_schema(file)) if kind == "ipc" else None
